//! The front of the kernels: distances of `f32` vectors one to one and one to many.
//!
//! Other element types go through [`Element::scan`].

use super::lanes::LaneElement;
use super::{Element, Metric, instruction_set};

/// The inner product of `a` and `b`.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    // SAFETY: the instruction set is one of this processor, so its table may be called.
    unsafe { (f32::table(instruction_set()).dot)(a, b) }
}

/// The squared Euclidean distance of `a` and `b`.
pub fn l2_squared(a: &[f32], b: &[f32]) -> f32 {
    // SAFETY: the instruction set is one of this processor, so its table may be called.
    unsafe { (f32::table(instruction_set()).l2)(a, b) }
}

/// The sum of absolute differences of `a` and `b`.
pub fn l1(a: &[f32], b: &[f32]) -> f32 {
    // SAFETY: the instruction set is one of this processor, so its table may be called.
    unsafe { (f32::table(instruction_set()).l1)(a, b) }
}

/// The distance of `query` and one row. Lower is closer.
pub fn distance<T: Element>(metric: Metric, query: &[T::Query], row: &[T]) -> f64 {
    let mut answer = f64::NAN;
    let length = query.len().min(row.len());
    T::scan(metric, &query[..length], &row[..length], length, 1, |_, distance| answer = distance);
    answer
}

/// Writes the distance of `query` to each row of `dim` components into `out`. Lower is closer.
///
/// Rows lie one after the other in `rows`; as many are read as `out` has room for.
pub fn one_to_many(metric: Metric, query: &[f32], rows: &[f32], dim: usize, out: &mut [f32]) {
    let count = out.len();
    f32::scan(metric, query, rows, dim, count, |index, distance| out[index] = distance as f32);
}

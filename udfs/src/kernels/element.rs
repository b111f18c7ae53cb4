//! The element types a vector may have, and what a distance over each of them is.
//!
//! `f32` and `f16` run on the lane kernels with an `f32` query and finish in `f64`; the others add
//! up in wider types. A result that overflowed or lost its precision in `f32` is taken again from
//! the definition in `f64`, so that only input that is itself not finite gives a result that is not.

use super::lanes::{LaneElement, Table};
use super::wide::{self, Term, WideElement};
use super::{InstructionSet, Metric, bits, instruction_set, reference};
use half::f16;

/// A component of a vector.
pub trait Element: Copy + Send + Sync + 'static {
    /// The element type of a query against rows of this type.
    type Query: Copy;

    /// `value` as a component of a query: rounded to a float, `None` where an integer type lacks it.
    fn query(value: f64) -> Option<Self::Query>;

    /// The component as a number.
    fn to_f64(self) -> f64;

    /// Calls `emit(row index, distance)` for each of `count` rows of `dim` components.
    ///
    /// Rows lie one after the other in `rows`; rows that are not there are not emitted.
    fn scan(
        metric: Metric,
        query: &[Self::Query],
        rows: &[Self],
        dim: usize,
        count: usize,
        emit: impl FnMut(usize, f64),
    );
}

impl Element for f32 {
    type Query = f32;

    fn query(value: f64) -> Option<f32> {
        Some(value as f32)
    }

    fn to_f64(self) -> f64 {
        f64::from(self)
    }

    fn scan(
        metric: Metric,
        query: &[f32],
        rows: &[f32],
        dim: usize,
        count: usize,
        emit: impl FnMut(usize, f64),
    ) {
        scan_lanes(instruction_set(), metric, query, Rows::new(rows, dim, count), emit);
    }
}

impl Element for f16 {
    type Query = f32;

    fn query(value: f64) -> Option<f32> {
        Some(value as f32)
    }

    fn to_f64(self) -> f64 {
        f16::to_f64(self)
    }

    fn scan(
        metric: Metric,
        query: &[f32],
        rows: &[f16],
        dim: usize,
        count: usize,
        emit: impl FnMut(usize, f64),
    ) {
        scan_lanes(instruction_set(), metric, query, Rows::new(rows, dim, count), emit);
    }
}

macro_rules! wide_scan {
    ($element:ty, $bits:expr) => {
        impl Element for $element {
            type Query = $element;

            fn query(value: f64) -> Option<$element> {
                // `as` saturates and cuts off, which the comparison finds out.
                let nearest = value as $element;
                (f64::from(nearest) == value || value.is_nan() && f64::from(nearest).is_nan())
                    .then_some(nearest)
            }

            fn to_f64(self) -> f64 {
                f64::from(self)
            }

            fn scan(
                metric: Metric,
                query: &[$element],
                rows: &[$element],
                dim: usize,
                count: usize,
                mut emit: impl FnMut(usize, f64),
            ) {
                let norm = <$element>::sum(query, query, Term::Product);
                let bits: Option<fn(Metric, &[$element], &[$element]) -> Option<f64>> = $bits;
                let rows = Rows::new(rows, dim, count);
                for index in 0..rows.count {
                    let row = rows.get(index);
                    let packed = bits.and_then(|bits| bits(metric, query, row));
                    emit(index, packed.unwrap_or_else(|| wide_distance(metric, query, row, norm)));
                }
            }
        }
    };
}

wide_scan!(f64, None);
wide_scan!(i8, None);
wide_scan!(u8, Some(packed));

/// The set metrics take bytes for eight components each.
fn packed(metric: Metric, a: &[u8], b: &[u8]) -> Option<f64> {
    match metric {
        Metric::Hamming => Some(bits::hamming(a, b) as f64),
        Metric::Jaccard => Some(bits::jaccard(a, b)),
        _ => None,
    }
}

/// Rows of `dim` components, one after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a, T> {
    values: &'a [T],
    dim: usize,
    count: usize,
}

impl<'a, T> Rows<'a, T> {
    /// The first `count` rows of `values`, fewer if they are not all there.
    pub(super) fn new(values: &'a [T], dim: usize, count: usize) -> Self {
        let count = values.len().checked_div(dim).map_or(count, |rows| rows.min(count));
        Self { values, dim, count }
    }

    fn get(&self, index: usize) -> &'a [T] {
        &self.values[index * self.dim..(index + 1) * self.dim]
    }
}

fn wide_distance<T: WideElement + Element<Query = T>>(
    metric: Metric,
    query: &[T],
    row: &[T],
    norm: f64,
) -> f64 {
    match metric {
        Metric::L2 => T::sum(query, row, Term::SquaredDifference).sqrt(),
        Metric::L1 => T::sum(query, row, Term::AbsoluteDifference),
        Metric::InnerProduct => -T::sum(query, row, Term::Product),
        Metric::Cosine => {
            let (dot, row) = wide::cosine(query, row);
            reference::cosine(dot, norm, row)
        }
        Metric::Hamming | Metric::Jaccard => {
            reference::distance(metric, query.iter().zip(row).map(|(a, b)| (a.to_f64(), b.to_f64())))
        }
    }
}

/// The scan on the lane kernels of `set`, or of the best set that the processor has.
pub(super) fn scan_lanes<T: LaneElement + Element<Query = f32>>(
    set: InstructionSet,
    metric: Metric,
    query: &[f32],
    rows: Rows<'_, T>,
    mut emit: impl FnMut(usize, f64),
) {
    let table: &Table<T> = T::table(set.min(instruction_set()));
    let exact = |index: usize| {
        let pairs = query.iter().zip(rows.get(index));
        reference::distance(metric, pairs.map(|(a, b)| (f64::from(*a), b.to_f64())))
    };
    let mut finished = |index: usize, distance: f64| {
        emit(index, if distance.is_finite() { distance } else { exact(index) });
    };
    macro_rules! each {
        ($kernel:expr, |$sum:ident| $finish:expr) => {
            for index in 0..rows.count {
                // SAFETY: the table is of an instruction set that this processor has.
                let $sum = unsafe { $kernel(query, rows.get(index)) };
                finished(index, $finish);
            }
        };
    }
    match metric {
        Metric::L2 => each!((table.l2), |sum| f64::from(sum).sqrt()),
        Metric::L1 => each!((table.l1), |sum| f64::from(sum)),
        Metric::InnerProduct => each!((table.dot), |sum| -f64::from(sum)),
        Metric::Cosine => {
            let norm = super::dot(query, query);
            each!((table.cosine), |sum| cosine(sum.0, norm, sum.1));
        }
        Metric::Hamming | Metric::Jaccard => (0..rows.count).for_each(|index| finished(index, exact(index))),
    }
}

/// Cosine distance from `f32` sums, or NaN where they overflowed or lost their precision.
#[inline]
fn cosine(dot: f32, a: f32, b: f32) -> f64 {
    if !(a.is_normal() && b.is_normal() && dot.is_finite()) {
        return f64::NAN;
    }
    reference::cosine(f64::from(dot), f64::from(a), f64::from(b))
}

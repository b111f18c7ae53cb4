//! The loops of the float kernels, written once for every instruction set.
//!
//! [`lane_kernels!`] expands to four sums (inner product, squared difference, absolute difference,
//! inner product with the row's squared norm) of a query and a row. The invoking module brings the
//! vector type and its few operations. Four accumulators hide the latency of the multiply-add.
//!
//! One row at a time, on purpose: taking four rows at once reuses each load of the query, but its
//! four interleaved streams defeat the hardware prefetcher and reached a third of the bandwidth.
//! That prefetcher stops at every page, so each load also asks for the line [`AHEAD`] bytes on: the
//! same loop in C took 5.3 ms without and 3.9 ms with it, for 154 MB on two threads (Xeon of 2023, AVX-512).

use half::f16;

/// Accumulators per sum.
pub(super) const UNROLL: usize = 4;

/// How far ahead of the row's elements memory is asked for, in bytes: three pages.
pub(super) const AHEAD: usize = 12 << 10;

/// A sum over the components of a query and a row.
pub(super) type Sum<T> = unsafe fn(&[f32], &[T]) -> f32;
/// The inner product of a query and a row, and the row's squared norm.
pub(super) type Cosine<T> = unsafe fn(&[f32], &[T]) -> (f32, f32);

/// The sums of one instruction set over rows of `T`.
///
/// # Safety
/// A table may be called only on a processor that has its instruction set.
pub(super) struct Table<T: 'static> {
    pub dot: Sum<T>,
    pub l2: Sum<T>,
    pub l1: Sum<T>,
    pub cosine: Cosine<T>,
}

/// A row element with a table of lane kernels. The query is always `f32`.
pub(super) trait LaneElement: Copy + 'static {
    /// The table for `set`, which the processor must have.
    fn table(set: super::InstructionSet) -> &'static Table<Self>;
}

macro_rules! lane_element {
    ($element:ty, $module:ident) => {
        impl LaneElement for $element {
            fn table(set: super::InstructionSet) -> &'static Table<Self> {
                match set {
                    #[cfg(target_arch = "x86_64")]
                    super::InstructionSet::Avx512 => &super::avx512::$module::TABLE,
                    #[cfg(target_arch = "x86_64")]
                    super::InstructionSet::Avx2 => &super::avx2::$module::TABLE,
                    _ => &super::portable::$module::TABLE,
                }
            }
        }
    };
}

lane_element!(f32, float32);
lane_element!(f16, float16);

/// Expands to a module with the four sums over rows of `$row` and their `TABLE`.
///
/// The surrounding module provides `Lane`, `LANES`, `zero`, `multiply_add`, `subtract`, `absolute`,
/// `add`, `reduce`, the loads of a query and the two loads named here for a row: one of a whole
/// lane, one of fewer elements that fills the rest with zeros.
macro_rules! lane_kernels {
    ($(#[$feature:meta])* $module:ident, $row:ty, $load:ident, $load_tail:ident) => {
        pub(in crate::kernels) mod $module {
            use super::*;
            use crate::kernels::lanes::{AHEAD, Table, UNROLL};

            pub(in crate::kernels) static TABLE: Table<$row> = Table { dot, l2, l1, cosine };

            lane_kernels!(@sum $(#[$feature])* dot, $row, $load, $load_tail,
                |sum, q, x| multiply_add(q, x, sum));
            lane_kernels!(@sum $(#[$feature])* l2, $row, $load, $load_tail, |sum, q, x| {
                let difference = subtract(q, x);
                multiply_add(difference, difference, sum)
            });
            lane_kernels!(@sum $(#[$feature])* l1, $row, $load, $load_tail,
                |sum, q, x| add(sum, absolute(subtract(q, x))));

            $(#[$feature])*
            fn cosine(query: &[f32], row: &[$row]) -> (f32, f32) {
                let (mut dots, mut norms) = ([zero(); UNROLL], [zero(); UNROLL]);
                lane_kernels!(@walk query, row, $load, $load_tail, |slot, q, x| {
                    dots[slot] = multiply_add(q, x, dots[slot]);
                    norms[slot] = multiply_add(x, x, norms[slot]);
                });
                (reduce(&dots), reduce(&norms))
            }
        }
    };
    (@sum $(#[$feature:meta])* $name:ident, $row:ty, $load:ident, $load_tail:ident,
        |$sum:ident, $q:ident, $x:ident| $step:expr) => {
        $(#[$feature])*
        fn $name(query: &[f32], row: &[$row]) -> f32 {
            let mut sums = [zero(); UNROLL];
            lane_kernels!(@walk query, row, $load, $load_tail, |slot, $q, $x| {
                let $sum = sums[slot];
                sums[slot] = $step;
            });
            reduce(&sums)
        }
    };
    (@walk $query:ident, $row:ident, $load:ident, $load_tail:ident,
        |$slot:ident, $q:ident, $x:ident| $step:block) => {
        let length = $query.len().min($row.len());
        let (query_lanes, query_rest) = $query[..length].as_chunks::<LANES>();
        let (row_lanes, row_rest) = $row[..length].as_chunks::<LANES>();
        let (query_rounds, query_lanes) = query_lanes.as_chunks::<UNROLL>();
        let (row_rounds, row_lanes) = row_lanes.as_chunks::<UNROLL>();
        for (query_round, row_round) in query_rounds.iter().zip(row_rounds) {
            for $slot in 0..UNROLL {
                let ($q, $x) = (load(&query_round[$slot]), $load(&row_round[$slot]));
                fetch(row_round[$slot].as_ptr().wrapping_byte_add(AHEAD).cast());
                $step
            }
        }
        for ($slot, (query_lane, row_lane)) in query_lanes.iter().zip(row_lanes).enumerate() {
            let ($q, $x) = (load(query_lane), $load(row_lane));
            $step
        }
        if !query_rest.is_empty() {
            let $slot = UNROLL - 1;
            let ($q, $x) = (load_tail(query_rest), $load_tail(row_rest));
            $step
        }
    };
}

pub(super) use lane_kernels;

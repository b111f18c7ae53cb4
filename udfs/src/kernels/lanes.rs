//! The loops of the float kernels, written once for every instruction set.
//!
//! [`lane_kernels!`] expands to four sums (inner product, squared difference, absolute difference,
//! inner product with the row's squared norm) over `R` rows at a time. The invoking module brings
//! the vector type and its few operations. Several accumulators per row hide the latency of the
//! multiply-add; four rows at a time reuse each load of the query.

use half::f16;

/// One sum per row.
pub(super) type Sums<T, const R: usize> = unsafe fn(&[f32], [&[T]; R]) -> [f32; R];
/// The inner product and the row's squared norm, per row.
pub(super) type Cosines<T, const R: usize> = unsafe fn(&[f32], [&[T]; R]) -> [(f32, f32); R];

/// The sums of one instruction set over rows of `T`, one and four rows at a time.
///
/// # Safety
/// A table may be called only on a processor that has its instruction set; [`LaneElement::table`]
/// hands out no other.
pub(super) struct Table<T: 'static> {
    pub dot: (Sums<T, 1>, Sums<T, 4>),
    pub l2: (Sums<T, 1>, Sums<T, 4>),
    pub l1: (Sums<T, 1>, Sums<T, 4>),
    pub cosine: (Cosines<T, 1>, Cosines<T, 4>),
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
/// `add`, `reduce`, the loads of a query and the two loads named here for a row: `load(pointer)`
/// reads `LANES` elements, `load_tail(pointer, n)` reads `n < LANES` and fills with zeros.
macro_rules! lane_kernels {
    ($(#[$feature:meta])* $module:ident, $row:ty, $load:ident, $load_tail:ident) => {
        pub(in crate::kernels) mod $module {
            use super::*;
            use crate::kernels::lanes::Table;

            pub(in crate::kernels) static TABLE: Table<$row> = Table {
                dot: (dot::<1, 4>, dot::<4, 2>),
                l2: (l2::<1, 4>, l2::<4, 2>),
                l1: (l1::<1, 4>, l1::<4, 2>),
                cosine: (cosine::<1, 4>, cosine::<4, 1>),
            };

            lane_kernels!(@sum $(#[$feature])* dot, $row, $load, $load_tail,
                |sum, q, x| multiply_add(q, x, sum));
            lane_kernels!(@sum $(#[$feature])* l2, $row, $load, $load_tail, |sum, q, x| {
                let difference = subtract(q, x);
                multiply_add(difference, difference, sum)
            });
            lane_kernels!(@sum $(#[$feature])* l1, $row, $load, $load_tail,
                |sum, q, x| add(sum, absolute(subtract(q, x))));

            $(#[$feature])*
            fn cosine<const R: usize, const U: usize>(
                query: &[f32],
                rows: [&[$row]; R],
            ) -> [(f32, f32); R] {
                let length = rows.iter().fold(query.len(), |n, row| n.min(row.len()));
                let mut dots = [[zero(); U]; R];
                let mut norms = [[zero(); U]; R];
                lane_kernels!(@walk length, query, rows, U, $load, $load_tail, |r, u, q, x| {
                    dots[r][u] = multiply_add(q, x, dots[r][u]);
                    norms[r][u] = multiply_add(x, x, norms[r][u]);
                });
                let mut sums = [(0.0, 0.0); R];
                for r in 0..R {
                    sums[r] = (reduce(&dots[r]), reduce(&norms[r]));
                }
                sums
            }
        }
    };
    (@sum $(#[$feature:meta])* $name:ident, $row:ty, $load:ident, $load_tail:ident,
        |$sum:ident, $q:ident, $x:ident| $step:expr) => {
        $(#[$feature])*
        fn $name<const R: usize, const U: usize>(query: &[f32], rows: [&[$row]; R]) -> [f32; R] {
            let length = rows.iter().fold(query.len(), |n, row| n.min(row.len()));
            let mut sums = [[zero(); U]; R];
            lane_kernels!(@walk length, query, rows, U, $load, $load_tail, |r, u, $q, $x| {
                let $sum = sums[r][u];
                sums[r][u] = $step;
            });
            let mut totals = [0.0; R];
            for r in 0..R {
                totals[r] = reduce(&sums[r]);
            }
            totals
        }
    };
    (@walk $length:ident, $query:ident, $rows:ident, $unroll:ident, $load:ident, $load_tail:ident,
        |$r:ident, $u:ident, $q:ident, $x:ident| $step:block) => {
        let mut at = 0;
        while at + LANES * $unroll <= $length {
            for $u in 0..$unroll {
                let offset = at + LANES * $u;
                // SAFETY: offset + LANES <= length, and every slice has at least length elements.
                let $q = unsafe { load($query.as_ptr().add(offset)) };
                for $r in 0..R {
                    // SAFETY: as above.
                    let $x = unsafe { $load($rows[$r].as_ptr().add(offset)) };
                    $step
                }
            }
            at += LANES * $unroll;
        }
        while at < $length {
            let $u = 0;
            let rest = LANES.min($length - at);
            let whole = rest == LANES;
            // SAFETY: at + rest <= length, and every slice has at least length elements.
            let $q = unsafe {
                let from = $query.as_ptr().add(at);
                if whole { load(from) } else { load_tail(from, rest) }
            };
            for $r in 0..R {
                // SAFETY: as above.
                let $x = unsafe {
                    let from = $rows[$r].as_ptr().add(at);
                    if whole { $load(from) } else { $load_tail(from, rest) }
                };
                $step
            }
            at += rest;
        }
    };
}

pub(super) use lane_kernels;

//! Sums over element types that add up in a wider type: `f64`, `i8` and `u8`.
//!
//! The bodies are plain lanes, compiled twice on x86-64: for the baseline and for AVX2. Integer
//! sums are exact. Query and row have the same element type here.

use super::{InstructionSet, instruction_set};

const LANES: usize = 16;
/// Longest run an `i32` lane adds up without overflow: `255 * 255 * 2^15 / LANES < 2^31`.
const RUN: usize = 1 << 15;

/// Inner product and squared norm of the row.
pub(super) type Cosine = (f64, f64);

/// An element whose sums are taken in `f64`, or exactly in integers.
pub(super) trait WideElement: Copy {
    /// Sums `term` over the pairs of one slice each.
    fn sum(a: &[Self], b: &[Self], term: Term) -> f64;
}

/// What is summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Term {
    /// `a * b`
    Product,
    /// `(a - b)^2`
    SquaredDifference,
    /// `|a - b|`
    AbsoluteDifference,
}

macro_rules! wide_element {
    ($element:ty, $wide:ty, $module:ident) => {
        mod $module {
            use super::{LANES, RUN, Term};

            #[inline(always)]
            fn lanes(a: &[$element], b: &[$element], term: impl Fn($wide, $wide) -> $wide) -> f64 {
                let mut total = 0.0;
                for (a, b) in a.chunks(RUN).zip(b.chunks(RUN)) {
                    let (whole_a, rest_a) = a.as_chunks::<LANES>();
                    let (whole_b, rest_b) = b.as_chunks::<LANES>();
                    let mut sums = [<$wide>::default(); LANES];
                    for (a, b) in whole_a.iter().zip(whole_b) {
                        for lane in 0..LANES {
                            sums[lane] += term(<$wide>::from(a[lane]), <$wide>::from(b[lane]));
                        }
                    }
                    for ((sum, a), b) in sums.iter_mut().zip(rest_a).zip(rest_b) {
                        *sum += term(<$wide>::from(*a), <$wide>::from(*b));
                    }
                    total += sums.iter().map(|sum| f64::from(*sum)).sum::<f64>();
                }
                total
            }

            #[inline(always)]
            pub(super) fn sum(a: &[$element], b: &[$element], term: Term) -> f64 {
                match term {
                    Term::Product => lanes(a, b, |a, b| a * b),
                    Term::SquaredDifference => lanes(a, b, |a, b| (a - b) * (a - b)),
                    Term::AbsoluteDifference => lanes(a, b, |a, b| (a - b).abs()),
                }
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            pub(super) fn sum_avx2(a: &[$element], b: &[$element], term: Term) -> f64 {
                sum(a, b, term)
            }
        }

        impl WideElement for $element {
            fn sum(a: &[Self], b: &[Self], term: Term) -> f64 {
                let length = a.len().min(b.len());
                let (a, b) = (&a[..length], &b[..length]);
                match instruction_set() {
                    InstructionSet::Portable => $module::sum(a, b, term),
                    #[cfg(target_arch = "x86_64")]
                    // SAFETY: every other instruction set includes AVX2.
                    _ => unsafe { $module::sum_avx2(a, b, term) },
                    #[cfg(not(target_arch = "x86_64"))]
                    _ => $module::sum(a, b, term),
                }
            }
        }
    };
}

wide_element!(f64, f64, float64);
wide_element!(i8, i32, int8);
wide_element!(u8, i32, uint8);

/// The inner product of query and row, and the row's squared norm.
pub(super) fn cosine<T: WideElement>(query: &[T], row: &[T]) -> Cosine {
    (T::sum(query, row, Term::Product), T::sum(row, row, Term::Product))
}

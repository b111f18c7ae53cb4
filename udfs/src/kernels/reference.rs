//! The definitions themselves, one component after the other in `f64`.
//!
//! Slow and exact: what the fast kernels fall back to where `f32` sums overflow or underflow, what
//! the set metrics of unpacked vectors are, and the oracle of the tests.

use super::Metric;

/// The distance of two vectors given as pairs of components.
pub(super) fn distance(metric: Metric, pairs: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    match metric {
        Metric::L2 => pairs.map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt(),
        Metric::L1 => pairs.map(|(a, b)| (a - b).abs()).sum(),
        Metric::InnerProduct => -pairs.map(|(a, b)| a * b).sum::<f64>(),
        Metric::Cosine => {
            let (dot, a, b) =
                pairs.fold((0.0, 0.0, 0.0), |(dot, x, y), (a, b)| (dot + a * b, x + a * a, y + b * b));
            cosine(dot, a, b)
        }
        Metric::Hamming => pairs.filter(|(a, b)| a != b).count() as f64,
        Metric::Jaccard => {
            let union = pairs.clone().filter(|(a, b)| *a != 0.0 || *b != 0.0).count();
            let common = pairs.filter(|(a, b)| *a != 0.0 && *b != 0.0).count();
            if union == 0 { 0.0 } else { 1.0 - common as f64 / union as f64 }
        }
    }
}

/// Cosine distance from an inner product and two squared norms.
///
/// A zero vector has no direction: its distance to everything is 1, that of orthogonal vectors.
/// Rounding never leads outside `0..=2`.
#[inline]
pub(super) fn cosine(dot: f64, a: f64, b: f64) -> f64 {
    if a == 0.0 || b == 0.0 {
        return 1.0;
    }
    1.0 - (dot / (a.sqrt() * b.sqrt())).clamp(-1.0, 1.0)
}

//! What the codes of a row are to be multiplied with, and how far off they may be.

use trilith_udfs::kernels::dot;

/// The factors of a row's codes.
#[derive(Clone, Copy)]
pub(super) struct Factors {
    pub norm: f32,
    pub step: f32,
    pub error: f32,
    pub sign_step: f32,
    pub sign_error: f32,
}

/// Of a row without codes: nothing is known of its distance.
pub(super) const UNKNOWN: Factors =
    Factors { norm: 0.0, step: 0.0, error: f32::INFINITY, sign_step: 0.0, sign_error: f32::INFINITY };

/// What the signs of a vector are to be multiplied with, and the standard deviation of an inner product taken with them.
pub(super) fn sign_factors(vector: &[f32]) -> (f32, f32) {
    let dims = vector.len() as f32;
    let squared = dot(vector, vector);
    let absolute = vector.iter().map(|value| value.abs()).sum::<f32>();
    if absolute < f32::MIN_POSITIVE {
        return (0.0, 0.0);
    }
    // The cosine of the angle between the vector and its signs, squared.
    let agreement = (absolute * absolute / (dims * squared)).min(1.0);
    (squared / absolute, (squared * (1.0 - agreement) / (agreement * (dims - 1.0))).sqrt())
}

//! The length of a vector, and vectors of length one.

use super::Element;

/// The sum of squared components.
pub fn squared_norm<T: Element>(vector: &[T]) -> f64 {
    vector.iter().map(|component| component.to_f64() * component.to_f64()).sum()
}

/// The vector scaled to length one; a zero vector stays zero.
pub fn normalize<T: Element>(vector: &[T]) -> impl Iterator<Item = f64> + '_ {
    let norm = squared_norm(vector).sqrt();
    let scale = if norm == 0.0 { 0.0 } else { norm.recip() };
    vector.iter().map(move |component| component.to_f64() * scale)
}

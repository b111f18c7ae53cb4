//! Vectors rounded to integers, with a bound on what the rounding took away.
//!
//! A row becomes 8-bit integers times one step, a query 16-bit integers times one step, so that their
//! inner product is a sum of integers. By Cauchy and Schwarz the inner product of what was rounded off
//! with a unit vector is at most its length: a bound that always holds, not one that holds mostly.

use super::dispatch::widened;

const CODE_MAX: f32 = 127.0;

/// Rounds `values` to `codes`, each a signed byte; returns the step and the length of `values - step * codes`.
///
/// Values that are not finite give nonsense: check the length of the vector before.
pub fn quantize(values: &[f32], codes: &mut [u8]) -> (f32, f32) {
    let step = largest(values) / CODE_MAX;
    if step < f32::MIN_POSITIVE {
        codes.fill(0);
        return (0.0, length(values));
    }
    // The sum is itself rounded.
    (step, round_codes(values, step, codes).sqrt() * (1.0 + 1e-4))
}

/// Rounds a query to 16-bit integers; returns the step and the length of what was rounded off.
///
/// The integers are kept small enough that a sum over all components fits 32 bits.
pub fn quantize_query(values: &[f32], codes: &mut [i16]) -> (f32, f32) {
    let max = (f64::from(1u32 << 31) / (128.0 * values.len().max(1) as f64)).min(f64::from(i16::MAX)) as f32;
    let step = largest(values) / max.floor();
    if step < f32::MIN_POSITIVE {
        codes.fill(0);
        return (0.0, length(values));
    }
    (step, round_query(values, step, codes).sqrt() as f32)
}

widened! {
    /// Squared length of what is rounded off.
    fn round_query(values: &[f32], step: f32, codes: &mut [i16]) -> f64 {
        let mut rest = 0.0;
        for (value, code) in values.iter().zip(codes) {
            let rounded = (value / step).round_ties_even();
            *code = rounded as i16;
            let off = f64::from(*value) - f64::from(rounded) * f64::from(step);
            rest += off * off;
        }
        rest
    }
}

widened! {
    fn largest(values: &[f32]) -> f32 {
        values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()))
    }
}

widened! {
    fn length(values: &[f32]) -> f32 {
        values.iter().map(|value| value * value).sum::<f32>().sqrt()
    }
}

widened! {
    /// Squared length of what is rounded off.
    fn round_codes(values: &[f32], step: f32, codes: &mut [u8]) -> f32 {
        const LANES: usize = 16;
        let inverse = step.recip();
        let mut rest = [0.0_f32; LANES];
        let (values, tail) = values.as_chunks::<LANES>();
        let (codes, codes_tail) = codes.as_chunks_mut::<LANES>();
        for (values, codes) in values.iter().zip(codes) {
            for lane in 0..LANES {
                let rounded = (values[lane] * inverse).round_ties_even();
                codes[lane] = (rounded as i8).cast_unsigned();
                let off = values[lane] - rounded * step;
                rest[lane] += off * off;
            }
        }
        for (value, code) in tail.iter().zip(codes_tail) {
            let rounded = (value * inverse).round_ties_even();
            *code = (rounded as i8).cast_unsigned();
            let off = value - rounded * step;
            rest[0] += off * off;
        }
        rest.iter().sum()
    }
}

/// What turns integer inner products into bounds of a distance, for a run of rows.
///
/// Of row `i` the similarity to the query is `base + steps[i] * (query_base + query_step * dots[i])`, off by at most
/// `confidence * errors[i] + slack`. The bounded key is `offset - factor * similarity`, lower being nearer, where `offset`
/// is the square of the norm if `squared` and 0 otherwise, and `factor` is `weight` times the norm, or
/// `weight` alone for `unit`.
#[derive(Debug, Clone, Copy)]
pub struct CodeBounds<'a> {
    /// Of the rows' codes.
    pub steps: &'a [f32],
    /// Lengths of what was rounded off.
    pub errors: &'a [f32],
    /// Of the rows.
    pub norms: &'a [f32],
    /// Similarity of the rows' common centre to the query.
    pub base: f32,
    /// Of the query's code.
    pub query_step: f32,
    /// What an integer of zero stands for.
    pub query_base: f32,
    /// How many times its error a row may be off: 1 where the error is the most that it can be.
    pub confidence: f32,
    /// Added to every error.
    pub slack: f32,
    /// See above.
    pub weight: f32,
    /// See above.
    pub unit: bool,
    /// See above.
    pub squared: bool,
}

/// Share of the larger terms that rounding in `f32` may take from a key.
const ROUNDING: f32 = 2e-6;

/// Which side a bound is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// No row is nearer than this.
    Lower,
    /// No row is farther than this.
    Upper,
}

impl CodeBounds<'_> {
    /// Writes bounds of the keys of rows with these integers: NaN, or infinite to its side, for a row that nothing is known of.
    pub fn write(&self, dots: &[i32], side: Side, out: &mut [f32]) {
        bounds(self, dots, if side == Side::Lower { 1.0 } else { -1.0 }, out);
    }
}

widened! {
    /// Adds each row whose bound is not beyond `most`. A bound that is no number rules nothing out.
    fn each_within(bounds: &[f32], most: f32, rows: &mut Vec<usize>) {
        const LANES: usize = 32;
        for (chunk, bounds) in bounds.chunks(LANES).enumerate() {
            let beyond: usize = bounds.iter().map(|bound| usize::from(*bound > most)).sum();
            if beyond < bounds.len() {
                let first = chunk * LANES;
                rows.extend((0..bounds.len()).filter(|at| bounds[*at].is_nan() || bounds[*at] <= most).map(|at| first + at));
            }
        }
    }
}

/// The rows whose lower bound is not beyond `most`, in their order. A bound that is no number rules nothing out.
#[must_use]
pub fn within(bounds: &[f32], most: f32) -> Vec<usize> {
    let mut rows = Vec::new();
    each_within(bounds, most, &mut rows);
    rows
}

widened! {
    fn bounds(of: &CodeBounds<'_>, dots: &[i32], direction: f32, out: &mut [f32]) {
        let rows = dots.iter().zip(of.steps).zip(of.errors).zip(of.norms).zip(out);
        for ((((dot, step), error), norm), out) in rows {
            let similarity = of.base + step * (of.query_base + of.query_step * *dot as f32);
            let most = similarity + direction * (of.confidence * error + of.slack);
            let factor = if of.unit { of.weight } else { of.weight * norm };
            let offset = if of.squared { norm * norm } else { 0.0 };
            *out = offset - factor * most - direction * ROUNDING * (offset + factor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_within_a_bound_are_those_not_beyond_it() {
        let mut bounds: Vec<f32> = (0..1000).map(|row| if row % 90 == 7 { 1.0 } else { 3.0 }).collect();
        (bounds[0], bounds[500], bounds[999]) = (f32::NAN, 2.0, f32::NEG_INFINITY);
        for most in [0.5, 1.0, 2.0, 3.0, f32::INFINITY] {
            let want: Vec<usize> =
                (0..1000).filter(|row| bounds[*row].is_nan() || bounds[*row] <= most).collect();
            assert_eq!(within(&bounds, most), want);
            assert_eq!(
                within(&bounds[..997], most),
                want.iter().copied().filter(|row| *row < 997).collect::<Vec<_>>()
            );
        }
        assert_eq!(within(&[], 1.0), [] as [usize; 0]);
    }
}

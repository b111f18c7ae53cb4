//! A random rotation that costs `n log n`: it spreads what a vector says evenly over its components.
//!
//! After it no component is special, so one step size fits them all, and the sign of each says about as
//! much as that of any other: what codes of few bits live on. Four rounds of random signs and a fast
//! Walsh-Hadamard transform; where the length is no power of two, the transform takes the first and the
//! last power of two in turn, and a butterfly between the halves mixes them (as in the RaBitQ library).
//! Invariant: lengths and inner products stay the same, within rounding; the signs are the same forever,
//! because codes are stored.

use super::dispatch::widened;

/// Lengths are padded with zeros to a multiple of this.
pub const LANES_PER_CODE: usize = 64;
const ROUNDS: usize = 4;
const SEED: u64 = 0x7472_696c_6974_6821;

/// The rotation of vectors of one length.
#[derive(Debug, Clone)]
pub struct Rotation {
    dims: usize,
    padded: usize,
    /// One for each round and component, `1.0` or `-1.0`.
    signs: Vec<f32>,
}

impl Rotation {
    /// The rotation of vectors of `dims` components.
    #[must_use]
    pub fn new(dims: usize) -> Self {
        let padded = Self::padded_len(dims);
        let mut state = SEED ^ padded as u64;
        let signs = (0..ROUNDS * padded).map(|_| if next(&mut state) >> 63 == 0 { 1.0 } else { -1.0 });
        Self { dims, padded, signs: signs.collect() }
    }

    /// Components of a vector of `dims` components after: up to the next multiple of [`LANES_PER_CODE`].
    #[must_use]
    pub fn padded_len(dims: usize) -> usize {
        dims.max(1).next_multiple_of(LANES_PER_CODE)
    }

    /// Components of a vector before.
    #[must_use]
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// Components of a vector after.
    #[must_use]
    pub fn padded(&self) -> usize {
        self.padded
    }

    /// Writes the rotated `vector`, times `scale`, to `out`.
    pub fn rotate(&self, vector: &[f32], scale: f32, out: &mut [f32]) {
        let out = &mut out[..self.padded];
        let length = vector.len().min(self.dims);
        out[length..].fill(0.0);
        out.iter_mut().zip(&vector[..length]).for_each(|(slot, component)| *slot = component * scale);
        rounds(out, &self.signs);
    }
}

widened! {
    fn rounds(values: &mut [f32], signs: &[f32]) {
        let length = values.len();
        let window = 1 << length.ilog2();
        for (round, signs) in signs.chunks_exact(length).enumerate() {
            values.iter_mut().zip(signs).for_each(|(value, sign)| *value *= sign);
            let start = if round % 2 == 0 { 0 } else { length - window };
            hadamard(&mut values[start..start + window]);
            if window < length {
                halves(values);
            }
        }
    }
}

/// The Walsh-Hadamard transform, scaled to keep lengths.
#[inline(always)]
fn hadamard(values: &mut [f32]) {
    let mut half = 1;
    while half < values.len() {
        for block in values.chunks_exact_mut(2 * half) {
            let (low, high) = block.split_at_mut(half);
            butterfly(low, high, 1.0);
        }
        half *= 2;
    }
    let scale = (values.len() as f32).sqrt().recip();
    values.iter_mut().for_each(|value| *value *= scale);
}

#[inline(always)]
fn halves(values: &mut [f32]) {
    let (low, high) = values.split_at_mut(values.len() / 2);
    butterfly(low, high, std::f32::consts::FRAC_1_SQRT_2);
}

#[inline(always)]
fn butterfly(low: &mut [f32], high: &mut [f32], scale: f32) {
    for (a, b) in low.iter_mut().zip(high) {
        (*a, *b) = ((*a + *b) * scale, (*a - *b) * scale);
    }
}

/// The next of a sequence of numbers that look random: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
pub(super) fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::dot;

    fn vector(dims: usize, seed: u64) -> Vec<f32> {
        let mut state = seed;
        (0..dims).map(|_| (next(&mut state) >> 40) as f32 / (1 << 23) as f32 - 1.0).collect()
    }

    #[test]
    fn inner_products_stay() {
        for dims in [1, 3, 64, 100, 384, 768, 960, 1536] {
            let rotation = Rotation::new(dims);
            let (a, b) = (vector(dims, 1), vector(dims, 2));
            let (mut x, mut y) = (vec![0.0; rotation.padded()], vec![0.0; rotation.padded()]);
            rotation.rotate(&a, 1.0, &mut x);
            rotation.rotate(&b, 2.0, &mut y);
            let (want, got) = (2.0 * dot(&a, &b), dot(&x, &y));
            assert!((want - got).abs() <= 1e-4 * (dims as f32), "{dims}: {want} {got}");
        }
    }

    #[test]
    fn one_component_is_spread_over_all() {
        for dims in [64, 384, 768, 1536] {
            let rotation = Rotation::new(dims);
            let mut unit = vec![0.0; dims];
            unit[7] = 1.0;
            let mut out = vec![0.0; rotation.padded()];
            rotation.rotate(&unit, 1.0, &mut out);
            let largest = out.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
            assert!(largest < 6.0 / (rotation.padded() as f32).sqrt(), "{dims}: {largest}");
        }
    }

    #[test]
    fn stored_codes_depend_on_these_signs() {
        let signs: Vec<f32> = Rotation::new(64).signs[..8].to_vec();
        assert_eq!(signs, [-1.0, -1.0, 1.0, 1.0, -1.0, 1.0, -1.0, -1.0]);
    }
}

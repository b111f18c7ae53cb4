//! A vector compared with codes: bounds of its distances.

use std::ops::Range;

use trilith_udfs::kernels::{CodeBounds, Metric, Rotation, dot, dot_codes, quantize_query};

use super::codes::VectorCodes;

/// Which side a bound is on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// No row is nearer than this.
    Lower,
    /// No row is farther than this.
    Upper,
}

/// What rounding in `f32` adds to the error of a similarity: of the rotation, of the kernel that computes the
/// distance, and per component of its sum.
const ROUNDING: f32 = 1e-5;
const ROUNDING_PER_DIM: f32 = 4e-9;

/// A query, ready to be compared with codes.
///
/// Bounds are of keys, which grow with the distance; [`CodedQuery::key`] turns a distance into one.
#[derive(Clone, Debug)]
pub struct CodedQuery {
    metric: Metric,
    dims: usize,
    /// Scaled to length one, rotated.
    rotated: Vec<f32>,
    codes: Vec<i16>,
    step: f32,
    slack: f32,
    norm: f32,
}

impl CodedQuery {
    /// `None` when codes say nothing of such distances.
    #[must_use]
    pub fn new(metric: Metric, query: &[f32]) -> Option<Self> {
        let norm = dot(query, query).sqrt();
        let coded = matches!(metric, Metric::Cosine | Metric::L2 | Metric::InnerProduct);
        if !coded || !(1e-15..1e15).contains(&norm) {
            return None;
        }
        let rotation = Rotation::new(query.len());
        let mut rotated = vec![0.0; rotation.padded()];
        rotation.rotate(query, norm.recip(), &mut rotated);
        let mut codes = vec![0; rotation.padded()];
        let (step, error) = quantize_query(&rotated, &mut codes);
        // A row's code is at most as long as the difference of two unit vectors and what its rounding adds.
        let longest = 2.0 + (rotation.padded() as f32).sqrt() / 127.0;
        let slack = longest * error + ROUNDING + ROUNDING_PER_DIM * query.len() as f32;
        Some(Self { metric, dims: query.len(), rotated, codes, step, slack, norm })
    }

    /// True when these codes are of vectors as long as the query.
    #[must_use]
    pub fn fits(&self, codes: &VectorCodes) -> bool {
        codes.source.dims == self.dims
    }

    /// The key of a distance, rounded up: a row is nearer only if its key's lower bound is not above.
    #[must_use]
    pub fn key(&self, distance: f64) -> f32 {
        let key = match self.metric {
            Metric::Cosine => distance - 1.0,
            Metric::L2 => distance * distance - f64::from(self.norm) * f64::from(self.norm),
            _ => distance,
        };
        let scale = match self.metric {
            Metric::L2 => distance * distance + f64::from(self.norm) * f64::from(self.norm),
            _ => key.abs() + 1.0,
        };
        (key + 1e-6 * scale) as f32
    }

    /// The distance that a key stands for.
    #[must_use]
    pub fn distance(&self, key: f32) -> f64 {
        match self.metric {
            Metric::Cosine => f64::from(key) + 1.0,
            Metric::L2 => (f64::from(key) + f64::from(self.norm) * f64::from(self.norm)).max(0.0).sqrt(),
            _ => f64::from(key),
        }
    }

    /// Writes a bound of the key of each of `rows` to `out`: NaN or infinite for rows without a code.
    pub fn bounds(&self, codes: &VectorCodes, rows: Range<usize>, dots: &[i32], side: Side, out: &mut [f32]) {
        let bounds = CodeBounds {
            steps: &codes.steps[rows.clone()],
            errors: &codes.errors[rows.clone()],
            norms: &codes.norms[rows],
            base: dot(&codes.centre, &self.rotated),
            query_step: self.step,
            slack: self.slack,
            weight: match self.metric {
                Metric::Cosine => 1.0,
                Metric::L2 => 2.0 * self.norm,
                _ => self.norm,
            },
            unit: self.metric == Metric::Cosine,
            squared: self.metric == Metric::L2,
        };
        match side {
            Side::Lower => bounds.lower(dots, out),
            Side::Upper => bounds.upper(dots, out),
        }
    }

    /// Writes the inner products of the query's code with those of `rows` to `out`.
    pub fn dots(&self, codes: &VectorCodes, rows: Range<usize>, out: &mut [i32]) {
        let padded = codes.source.padded;
        dot_codes(&self.codes, &codes.codes[rows.start * padded..rows.end * padded], out);
    }
}

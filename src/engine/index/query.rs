//! A vector compared with codes: bounds of its distances.

use std::ops::Range;

pub use trilith_udfs::kernels::Side;
use trilith_udfs::kernels::{
    CodeBounds, Metric, Rotation, SIGN_BLOCK, SignTables, dot, dot_codes, quantize_query, sign_block_bytes,
};

use super::codes::VectorCodes;

/// Which codes are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Code {
    /// One bit for each component.
    Signs,
    /// Eight bits for each component.
    Bytes,
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
    signs: SignTables,
    confidence: f32,
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
        let signs = SignTables::new(&rotated);
        Some(Self { metric, dims: query.len(), rotated, codes, step, signs, confidence: 0.0, slack, norm })
    }

    /// The same for a search that may lose one in `1 / (1 - recall)` of the rows that it looks for.
    #[must_use]
    pub fn with_recall(self, recall: f64) -> Self {
        Self { confidence: confidence(recall) as f32, ..self }
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
    #[cfg(test)]
    pub fn distance(&self, key: f32) -> f64 {
        match self.metric {
            Metric::Cosine => f64::from(key) + 1.0,
            Metric::L2 => (f64::from(key) + f64::from(self.norm) * f64::from(self.norm)).max(0.0).sqrt(),
            _ => f64::from(key),
        }
    }

    /// Compares the query with the codes of `rows`: the integers that [`CodedQuery::bounds`] makes bounds of.
    pub fn compare(&self, codes: &VectorCodes, rows: Range<usize>, code: Code) -> Vec<i32> {
        let padded = codes.source.padded;
        match code {
            Code::Bytes => {
                let mut dots = vec![0; rows.len()];
                dot_codes(&self.codes, &codes.bytes.codes[rows.start * padded..rows.end * padded], &mut dots);
                dots
            }
            Code::Signs => {
                let blocks = rows.start / SIGN_BLOCK..rows.end.div_ceil(SIGN_BLOCK);
                let bytes = sign_block_bytes(padded);
                let mut sums = vec![0; blocks.len() * SIGN_BLOCK];
                self.signs.look_up(&codes.signs.codes[blocks.start * bytes..blocks.end * bytes], &mut sums);
                sums.truncate(rows.end - blocks.start * SIGN_BLOCK);
                sums.drain(..rows.start - blocks.start * SIGN_BLOCK);
                sums
            }
        }
    }

    /// Bounds of the keys of `rows`, made of what [`CodedQuery::compare`] gave: NaN or infinite for rows without a code.
    ///
    /// Bounds by bytes always hold. Those by signs are so many standard deviations away that a share of `1 - recall` lies
    /// beyond them.
    #[must_use]
    pub fn bounds(
        &self,
        codes: &VectorCodes,
        rows: Range<usize>,
        integers: &[i32],
        code: Code,
        side: Side,
    ) -> Vec<f32> {
        let mut out = vec![0.0; integers.len()];
        self.bounds_of(codes, rows, code).write(integers, side, &mut out);
        out
    }

    /// The bound of one row, by its bytes.
    #[must_use]
    pub fn bound(&self, codes: &VectorCodes, row: usize, side: Side) -> f32 {
        let padded = codes.source.padded;
        let (mut dot, mut out) = ([0], [0.0]);
        dot_codes(&self.codes, &codes.bytes.codes[row * padded..(row + 1) * padded], &mut dot);
        self.bounds_of(codes, row..row + 1, Code::Bytes).write(&dot, side, &mut out);
        out[0]
    }

    fn bounds_of<'a>(&self, codes: &'a VectorCodes, rows: Range<usize>, code: Code) -> CodeBounds<'a> {
        let (steps, errors) = match code {
            Code::Bytes => (&codes.bytes.steps, &codes.bytes.errors),
            Code::Signs => (&codes.signs.steps, &codes.signs.errors),
        };
        let (query_step, query_base) = match code {
            Code::Bytes => (self.step, 0.0),
            Code::Signs => self.signs.scale(),
        };
        CodeBounds {
            steps: &steps[rows.clone()],
            errors: &errors[rows.clone()],
            norms: &codes.norms[rows],
            base: dot(&codes.centre, &self.rotated),
            query_step,
            query_base,
            confidence: if code == Code::Signs { self.confidence } else { 1.0 },
            slack: self.slack,
            weight: match self.metric {
                Metric::Cosine => 1.0,
                Metric::L2 => 2.0 * self.norm,
                _ => self.norm,
            },
            unit: self.metric == Metric::Cosine,
            squared: self.metric == Metric::L2,
        }
    }
}

/// How many standard deviations a share of `recall` of a normal distribution lies below, from 0 up.
///
/// By the approximation of Abramowitz and Stegun, 26.2.23, which is off by less than 0.00045.
fn confidence(recall: f64) -> f64 {
    let tail = (1.0 - recall).clamp(1e-12, 0.5);
    let t = (-2.0 * tail.ln()).sqrt();
    let (above, below) = (
        2.515_517 + t * (0.802_853 + t * 0.010_328),
        1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308)),
    );
    (t - above / below).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confidence_is_the_quantile_of_the_normal_distribution() {
        for (recall, want) in
            [(0.5, 0.0), (0.9, 1.2816), (0.95, 1.6449), (0.98, 2.0537), (0.99, 2.3263), (0.999, 3.0902)]
        {
            assert!((confidence(recall) - want).abs() < 0.001, "{recall}");
        }
        assert!(confidence(1.0) < 8.0);
    }
}

//! A vector compared with codes: bounds of its distances.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::ArrowNativeType;
use parking_lot::Mutex;
pub use trilith_udfs::kernels::Side;
use trilith_udfs::kernels::{
    CodeBounds, Metric, Rotation, SIGN_BLOCK, SignTables, dot, dot_codes, quantize_query, sign_block_bytes,
};

use super::codes::{Rounded, VectorCodes};

/// What rounding in `f32` adds to the error of a similarity: of the rotation, of the kernel that computes the
/// distance, and per component of its sum.
const ROUNDING: f32 = 1e-5;
const ROUNDING_PER_DIM: f32 = 4e-9;

/// A query, ready to be compared with codes.
///
/// Bounds are of keys, which grow with the distance; [`CodedQuery::key`] turns a distance into one.
#[derive(Clone, Debug)]
pub struct CodedQuery {
    pub(super) metric: Metric,
    dims: usize,
    /// Scaled to length one, rotated.
    pub(super) rotated: Vec<f32>,
    pub(super) codes: Vec<i16>,
    pub(super) step: f32,
    signs: SignTables,
    confidence: f32,
    /// The share of the nearest that a search may miss.
    pub(super) missed: f64,
    slack: f32,
    pub(super) norm: f32,
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
        let rotation = rotation(query.len());
        let mut rotated = vec![0.0; rotation.padded()];
        rotation.rotate(query, norm.recip(), &mut rotated);
        let mut codes = vec![0; rotation.padded()];
        let (step, error) = quantize_query(&rotated, &mut codes);
        // A row's code is at most as long as the difference of two unit vectors and what its rounding adds.
        let longest = 2.0 + (rotation.padded() as f32).sqrt() / 127.0;
        let slack = longest * error + ROUNDING + ROUNDING_PER_DIM * query.len() as f32;
        let signs = SignTables::new(&rotated);
        Some(Self {
            metric,
            dims: query.len(),
            rotated,
            codes,
            step,
            signs,
            confidence: 0.0,
            missed: 0.0,
            slack,
            norm,
        })
    }

    /// The same for a search that may lose one in `1 / (1 - recall)` of the rows that it looks for; `epsilon` is how many
    /// standard deviations wide its bounds by signs are, where that is not to follow from the recall.
    #[must_use]
    pub fn with_recall(self, recall: f64, epsilon: Option<f64>) -> Self {
        let confidence = epsilon.unwrap_or_else(|| confidence(recall)) as f32;
        Self { confidence, missed: 1.0 - recall, ..self }
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

    /// The query beside the codes of one file, whose vectors are as long.
    #[must_use]
    pub fn beside<'a>(&'a self, codes: &'a VectorCodes) -> Comparison<'a> {
        Comparison { query: self, codes, base: dot(&codes.centre, &self.rotated) }
    }
}

/// A query and the codes of one file.
#[derive(Clone, Copy, Debug)]
pub struct Comparison<'a> {
    pub(super) query: &'a CodedQuery,
    pub(super) codes: &'a VectorCodes,
    /// Similarity of the query and the centre of the file.
    pub(super) base: f32,
}

impl<'a> Comparison<'a> {
    /// Compares the query with the bytes of `rows`: the integers that [`Comparison::bounds`] makes bounds of.
    #[must_use]
    pub fn compare(&self, rows: Range<usize>) -> Vec<i32> {
        let (padded, mut dots) = (self.codes.source.padded, vec![0; rows.len()]);
        let bytes = &self.codes.bytes.codes[rows.start * padded..rows.end * padded];
        dot_codes(&self.query.codes, bytes, &mut dots);
        dots
    }

    /// Bounds of the keys of `rows`, made of what [`Comparison::compare`] gave: NaN or infinite for rows without a code.
    #[must_use]
    pub fn bounds(&self, rows: Range<usize>, integers: &[i32], side: Side) -> Vec<f32> {
        let mut out = vec![0.0; integers.len()];
        self.by_bytes(rows).write(integers, side, &mut out);
        out
    }

    /// Lower and upper bound of the key of one row, by its bytes.
    #[must_use]
    pub fn bounds_of_row(&self, row: usize) -> (f32, f32) {
        let padded = self.codes.source.padded;
        let (mut dot, mut lower, mut upper) = ([0], [0.0], [0.0]);
        dot_codes(&self.query.codes, &self.codes.bytes.codes[row * padded..(row + 1) * padded], &mut dot);
        let bounds = self.by_bytes(row..row + 1);
        bounds.write(&dot, Side::Lower, &mut lower);
        bounds.write(&dot, Side::Upper, &mut upper);
        (lower[0], upper[0])
    }

    /// Bounds of the keys of the rows at these positions, by their signs: NaN or infinite for rows without a code.
    ///
    /// They are so many standard deviations away that a share of `1 - recall` lies beyond them.
    #[must_use]
    pub fn bounds_by_signs(&self, positions: Range<usize>, side: Side) -> Vec<f32> {
        let blocks = positions.start / SIGN_BLOCK..positions.end.div_ceil(SIGN_BLOCK);
        let bytes = sign_block_bytes(self.codes.source.padded);
        let mut sums = vec![0; blocks.len() * SIGN_BLOCK];
        let signs = &self.codes.signs;
        self.query.signs.look_up(&signs.codes[blocks.start * bytes..blocks.end * bytes], &mut sums);
        let first = positions.start - blocks.start * SIGN_BLOCK;
        let mut out = vec![0.0; positions.len()];
        let (step, base) = self.query.signs.scale();
        let bounds = self.bounds_of(signs, positions, (step, base, self.query.confidence));
        bounds.write(&sums[first..first + out.len()], side, &mut out);
        out
    }

    fn by_bytes(&self, rows: Range<usize>) -> CodeBounds<'a> {
        self.bounds_of(&self.codes.bytes, rows, (self.query.step, 0.0, 1.0))
    }

    fn bounds_of<T: ArrowNativeType>(
        &self,
        rounded: &'a Rounded<T>,
        of: Range<usize>,
        (query_step, query_base, confidence): (f32, f32, f32),
    ) -> CodeBounds<'a> {
        let CodedQuery { metric, norm, slack, .. } = *self.query;
        CodeBounds {
            steps: &rounded.steps[of.clone()],
            errors: &rounded.errors[of.clone()],
            norms: &rounded.norms[of],
            base: self.base,
            query_step,
            query_base,
            confidence,
            slack,
            weight: match metric {
                Metric::Cosine => 1.0,
                Metric::L2 => 2.0 * norm,
                _ => norm,
            },
            unit: metric == Metric::Cosine,
            squared: metric == Metric::L2,
        }
    }
}

/// The rotation of queries of one length: making it takes as long as using it.
fn rotation(dims: usize) -> Arc<Rotation> {
    static LATEST: Mutex<Option<Arc<Rotation>>> = Mutex::new(None);
    let mut latest = LATEST.lock();
    match latest.as_ref().filter(|known| known.dims() == dims) {
        Some(known) => Arc::clone(known),
        None => Arc::clone(latest.insert(Arc::new(Rotation::new(dims)))),
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

//! How far rows of a file are apart, as far as their codes of eight bits tell.

use trilith_udfs::kernels::{dot_codes, dot_codes_at};

use super::super::codes::VectorCodes;
use crate::format::table::IndexMetric;

/// The rows of a file, and its centroids, as points.
///
/// A code stands for what a vector of length one is off the centre of all, so distances need no centre.
pub(super) struct Points<'a> {
    of: &'a VectorCodes,
    metric: IndexMetric,
    /// Squared lengths of what the codes stand for: of rows, and of centroids.
    squares: Vec<f32>,
    list_squares: Vec<f32>,
}

impl<'a> Points<'a> {
    pub(super) fn of(codes: &'a VectorCodes, metric: IndexMetric) -> Self {
        let padded = codes.source.padded;
        let squares = |bytes: &[i8], steps: &[f32]| {
            let square = |(code, step): (&[i8], &f32)| {
                step * step * code.iter().map(|value| f32::from(*value).powi(2)).sum::<f32>()
            };
            bytes.chunks_exact(padded).zip(steps).map(square).collect()
        };
        Self {
            squares: squares(&codes.bytes.codes, &codes.bytes.steps),
            list_squares: squares(&codes.lists.codes, &codes.lists.steps),
            of: codes,
            metric,
        }
    }

    /// The codes of all rows.
    pub(super) fn codes(&self) -> &'a [i8] {
        &self.of.bytes.codes
    }

    /// The code of a row as a query.
    pub(super) fn widened(&self, row: u32) -> Vec<i16> {
        self.code(row).iter().map(|value| i16::from(*value)).collect()
    }

    /// Rows side by side.
    pub(super) fn block(&self, rows: Vec<u32>) -> Block {
        let bytes = &self.of.bytes;
        let mut codes = Vec::with_capacity(rows.len() * self.of.source.padded);
        rows.iter().for_each(|row| codes.extend_from_slice(self.code(*row)));
        let of_rows = |values: &[f32]| rows.iter().map(|row| values[*row as usize]).collect();
        Block {
            codes,
            steps: of_rows(&bytes.steps),
            squares: of_rows(&self.squares),
            norms: of_rows(&bytes.norms),
            dots: vec![0; rows.len()],
            apart: vec![0.0; rows.len()],
            rows,
        }
    }

    /// The rows of a block with their squared distances from a row.
    pub(super) fn all_apart<'b>(
        &self,
        row: u32,
        block: &'b mut Block,
    ) -> impl Iterator<Item = (f32, u32)> + use<'b> {
        dot_codes(&self.widened(row), &block.codes, &mut block.dots);
        let (row, bytes) = (row as usize, &self.of.bytes);
        let (square, step, norm) = (self.squares[row], bytes.steps[row], bytes.norms[row]);
        let others = block.steps.iter().zip(&block.squares).zip(&block.dots);
        for (apart, ((other_step, other_square), dot)) in block.apart.iter_mut().zip(others) {
            *apart = chord((square, *other_square), step * other_step * *dot as f32);
        }
        if self.metric == IndexMetric::L2 {
            for (apart, other) in block.apart.iter_mut().zip(&block.norms) {
                *apart = between((norm, *other), *apart);
            }
        }
        block.apart.iter().copied().zip(block.rows.iter().copied())
    }

    fn code(&self, row: u32) -> &'a [i8] {
        let padded = self.of.source.padded;
        &self.codes()[row as usize * padded..(row as usize + 1) * padded]
    }

    /// The squared distance of two rows, of whose codes this is the inner product.
    pub(super) fn apart(&self, a: u32, b: u32, dot: i32) -> f32 {
        let (a, b, bytes) = (a as usize, b as usize, &self.of.bytes);
        let product = bytes.steps[a] * bytes.steps[b] * dot as f32;
        let apart = chord((self.squares[a], self.squares[b]), product);
        match self.metric {
            IndexMetric::L2 => between((bytes.norms[a], bytes.norms[b]), apart),
            IndexMetric::Cosine | IndexMetric::InnerProduct => apart,
        }
    }

    /// The `count` lists whose centroids are nearest to that of a list, itself among them.
    pub(super) fn lists_near_list(&self, list: usize, count: usize) -> Vec<usize> {
        let (padded, lists) = (self.of.source.padded, &self.of.lists);
        let code: Vec<i16> =
            lists.codes[list * padded..(list + 1) * padded].iter().map(|value| i16::from(*value)).collect();
        self.lists_near(&code, lists.steps[list], count)
    }

    /// The `count` lists whose centroids are nearest to a row.
    pub(super) fn lists_near_row(&self, row: u32, count: usize) -> Vec<usize> {
        self.lists_near(&self.widened(row), self.of.bytes.steps[row as usize], count)
    }

    /// The lists nearest to a point with this code, of this step.
    fn lists_near(&self, code: &[i16], step: f32, count: usize) -> Vec<usize> {
        let lists = &self.of.lists;
        let mut dots = vec![0; self.list_squares.len()];
        dot_codes(code, &lists.codes, &mut dots);
        let distance = |(list, dot): (usize, i32)| {
            (self.list_squares[list] - 2.0 * step * lists.steps[list] * dot as f32, list)
        };
        let mut near: Vec<(f32, usize)> = dots.into_iter().enumerate().map(distance).collect();
        let nearer = |a: &(f32, usize), b: &(f32, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
        if count < near.len() {
            near.select_nth_unstable_by(count, nearer);
            near.truncate(count);
        }
        near.sort_unstable_by(nearer);
        near.into_iter().map(|(_, list)| list).collect()
    }

    /// Of the rows of a list, the one nearest to its centroid.
    pub(super) fn middle(&self, list: usize, rows: &[u32]) -> Option<u32> {
        let (padded, lists) = (self.of.source.padded, &self.of.lists);
        let centroid: Vec<i16> =
            lists.codes[list * padded..(list + 1) * padded].iter().map(|value| i16::from(*value)).collect();
        let mut dots = vec![0; rows.len()];
        dot_codes_at(&centroid, self.codes(), rows, &mut dots);
        let distance = |(row, dot): (&u32, i32)| {
            let product = self.of.bytes.steps[*row as usize] * lists.steps[list] * dot as f32;
            (self.squares[*row as usize] - 2.0 * product, *row)
        };
        rows.iter().zip(dots).map(distance).min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, row)| row)
    }
}

/// Rows that many are compared with, and what came of the last comparison.
pub(super) struct Block {
    rows: Vec<u32>,
    codes: Vec<i8>,
    steps: Vec<f32>,
    squares: Vec<f32>,
    norms: Vec<f32>,
    dots: Vec<i32>,
    apart: Vec<f32>,
}

/// The squared distance of two points of these squared lengths and this inner product.
#[inline(always)]
fn chord(squares: (f32, f32), product: f32) -> f32 {
    (squares.0 + squares.1 - 2.0 * product).max(0.0)
}

/// The squared distance of two vectors of these norms, whose directions are so far apart.
#[inline(always)]
fn between(norms: (f32, f32), apart: f32) -> f32 {
    (norms.0 - norms.1).powi(2) + norms.0 * norms.1 * apart
}

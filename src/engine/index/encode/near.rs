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

    /// The codes of rows, one after the other.
    pub(super) fn gathered(&self, rows: &[u32]) -> Vec<i8> {
        rows.iter().flat_map(|row| self.code(*row)).copied().collect()
    }

    fn code(&self, row: u32) -> &'a [i8] {
        let padded = self.of.source.padded;
        &self.codes()[row as usize * padded..(row as usize + 1) * padded]
    }

    /// The squared distance of two rows, of whose codes this is the inner product.
    pub(super) fn apart(&self, a: u32, b: u32, dot: i32) -> f32 {
        let (a, b, bytes) = (a as usize, b as usize, &self.of.bytes);
        let product = bytes.steps[a] * bytes.steps[b] * dot as f32;
        let apart = (self.squares[a] + self.squares[b] - 2.0 * product).max(0.0);
        match self.metric {
            IndexMetric::L2 => {
                let (one, other) = (bytes.norms[a], bytes.norms[b]);
                (one - other).powi(2) + one * other * apart
            }
            IndexMetric::Cosine | IndexMetric::InnerProduct => apart,
        }
    }

    /// The `count` lists whose centroids are nearest to that of a list, itself among them.
    pub(super) fn lists_near(&self, list: usize, count: usize) -> Vec<usize> {
        let (padded, lists) = (self.of.source.padded, &self.of.lists);
        let code: Vec<i16> =
            lists.codes[list * padded..(list + 1) * padded].iter().map(|value| i16::from(*value)).collect();
        let mut dots = vec![0; self.list_squares.len()];
        dot_codes(&code, &lists.codes, &mut dots);
        self.nearest(lists.steps[list], dots.into_iter().enumerate(), count)
    }

    /// Of some lists, the `count` nearest to a row.
    pub(super) fn nearest_lists(&self, row: u32, among: &[usize], count: usize) -> Vec<usize> {
        let lists: Vec<u32> = among.iter().map(|list| *list as u32).collect();
        let mut dots = vec![0; lists.len()];
        dot_codes_at(&self.widened(row), &self.of.lists.codes, &lists, &mut dots);
        let step = self.of.bytes.steps[row as usize];
        self.nearest(step, among.iter().copied().zip(dots), count)
    }

    /// The lists nearest to a point of this step, by their inner products with it.
    fn nearest(&self, step: f32, dots: impl Iterator<Item = (usize, i32)>, count: usize) -> Vec<usize> {
        let lists = &self.of.lists;
        let distance = |(list, dot): (usize, i32)| {
            (self.list_squares[list] - 2.0 * step * lists.steps[list] * dot as f32, list)
        };
        let mut near: Vec<(f32, usize)> = dots.map(distance).collect();
        near.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        near.into_iter().take(count).map(|(_, list)| list).collect()
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

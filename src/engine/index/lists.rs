//! The rows of a file gathered around centroids, so that a search need not look at the codes of all.
//!
//! An inverted file (Sivic and Zisserman, ICCV 2003; Jégou, Douze and Schmid, PAMI 2011). How far a search must go is not a
//! number of lists: it looks at each list whose centroid is at most so much farther than the nearest one, which
//! reaches into more lists for a query that lies between them. How much is measured when the lists are made, for
//! each metric, rank and share of neighbours found. Rows without a code lie behind the last list.

use std::cmp::Ordering;
use std::ops::Range;

use arrow::buffer::ScalarBuffer;
use trilith_udfs::kernels::{Metric, dot_codes};

use super::codes::VectorCodes;
use super::query::Comparison;

/// Metrics that codes serve.
pub(super) const METRICS: [Metric; 3] = [Metric::Cosine, Metric::L2, Metric::InnerProduct];
/// Up to which rank each reach was measured.
pub(super) const RANKS: [usize; 3] = [10, 100, 1000];
/// Of each metric and rank, reaches for so many shares of neighbours missed.
pub(super) const SHARES: usize = 16;
/// The first of them, and what each next is of the one before.
const SHARE_MAX: f64 = 0.5;
const SHARE_RATIO: f64 = 0.6;
/// All of a file.
pub(super) const REACHES: usize = METRICS.len() * RANKS.len() * SHARES;

/// The share of neighbours that reach `at` misses.
pub(super) fn share(at: usize) -> f64 {
    SHARE_MAX * SHARE_RATIO.powi(at as i32)
}

/// Where the rows of each list are, and where its centroid.
#[derive(Debug)]
pub(super) struct Lists {
    /// Positions at which lists start: then that of rows without a code, then the end.
    pub starts: ScalarBuffer<u32>,
    /// The row at each position.
    pub order: ScalarBuffer<u32>,
    /// The centroids: squares of their lengths, and what they are off the centre of all, in eight bits each.
    pub squares: ScalarBuffer<f32>,
    pub steps: ScalarBuffer<f32>,
    pub codes: ScalarBuffer<i8>,
    pub reach: ScalarBuffer<f32>,
}

impl Lists {
    /// True when positions and rows are those of a file of so many rows.
    pub(super) fn is_sound(&self, rows: usize) -> bool {
        let bounds = [self.starts.first().copied(), self.starts.last().copied()];
        bounds == [Some(0), Some(rows as u32)]
            && self.starts.is_sorted()
            && self.order.iter().all(|row| (*row as usize) < rows)
    }
}

/// A list, and how much farther its centroid is than the nearest one.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct NearList {
    /// Difference of Euclidean distances, of vectors of length one.
    pub gap: f32,
    /// Its number.
    pub list: usize,
}

impl NearList {
    fn order(&self, other: &Self) -> Ordering {
        self.gap.total_cmp(&other.gap).then(self.list.cmp(&other.list))
    }
}

impl VectorCodes {
    /// The positions of a list.
    #[must_use]
    pub fn list(&self, list: usize) -> Range<usize> {
        self.lists.starts[list] as usize..self.lists.starts[list + 1] as usize
    }

    /// The list of a position.
    pub(super) fn list_of(&self, position: usize) -> usize {
        self.lists.starts.partition_point(|start| *start as usize <= position) - 1
    }

    /// The positions of rows that have no code: a search looks at each of their vectors.
    #[must_use]
    pub fn uncoded(&self) -> Range<usize> {
        self.list(self.lists.squares.len())
    }

    /// The row at a position.
    #[must_use]
    pub fn row(&self, position: usize) -> usize {
        self.lists.order[position] as usize
    }
}

impl Comparison<'_> {
    /// How far to go for the `rank` nearest rows; to all lists where that was not measured.
    #[must_use]
    pub fn reach(&self, rank: usize) -> f32 {
        let of_metric = METRICS.iter().position(|known| *known == self.query.metric);
        let of_rank = RANKS.iter().position(|known| rank <= *known);
        // What codes of one bit miss is the other half.
        let of_share = (0..SHARES).find(|at| share(*at) <= self.query.missed / 2.0);
        match (of_metric, of_rank, of_share) {
            (Some(metric), Some(rank), Some(share)) => {
                self.codes.lists.reach[(metric * RANKS.len() + rank) * SHARES + share]
            }
            _ => f32::INFINITY,
        }
    }

    /// How many of the nearest rows are found by going as far as for `rank` of them.
    #[must_use]
    pub fn covered(&self, rank: usize) -> usize {
        RANKS.into_iter().find(|known| rank <= *known).unwrap_or(usize::MAX)
    }

    /// All lists, the nearest first.
    #[must_use]
    pub fn lists(&self) -> Vec<NearList> {
        let mut near = self.far_lists();
        near.sort_unstable_by(NearList::order);
        let nearest = near.first().map_or(0.0, |near| near.gap);
        near.iter_mut().for_each(|near| near.gap -= nearest);
        near
    }

    /// The `count` nearest lists, in no order.
    pub(super) fn nearest_lists(&self, count: usize) -> impl Iterator<Item = usize> {
        let mut near = self.far_lists();
        if count < near.len() {
            near.select_nth_unstable_by(count, NearList::order);
            near.truncate(count);
        }
        near.into_iter().map(|near| near.list)
    }

    /// All lists, with their distances in the place of gaps.
    fn far_lists(&self) -> Vec<NearList> {
        let (query, lists) = (self.query, &self.codes.lists);
        let mut dots = vec![0; lists.squares.len()];
        dot_codes(&query.codes, &lists.codes, &mut dots);
        let similarity = |(dot, step): (&i32, &f32)| self.base + step * query.step * *dot as f32;
        let parts = dots.iter().zip(lists.steps.iter()).map(similarity).zip(lists.squares.iter());
        let distances = parts.map(|(similarity, square)| (1.0 + square - 2.0 * similarity).max(0.0).sqrt());
        distances.enumerate().map(|(list, gap)| NearList { gap, list }).collect()
    }
}

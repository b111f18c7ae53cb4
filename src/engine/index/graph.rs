//! The near rows of each row, and a walk along them to the rows nearest to a query.
//!
//! What it walks through is the lowest layer of HNSW (Malkov and Yashunin, PAMI 2020); what the layers above are for,
//! finding where to begin, the centroids of the lists do. Distances come from codes of eight bits, so a walk reads no vector. How
//! many rows it must hold is measured when the graph is made, for each metric, rank and share of neighbours found.

use arrow::buffer::ScalarBuffer;
use trilith_udfs::kernels::{Metric, dot_codes_at};

use super::lists::{METRICS, RANKS, SHARES, share};
use super::query::Comparison;

/// Rows of a list where walks enter it.
pub(super) const ENTRIES: usize = 8;
/// In the place of an edge: there are no more of that row.
pub(super) const NOTHING: u32 = u32::MAX;
/// Lists that a walk enters.
const LISTS: usize = 8;

/// The edges of a file's rows.
#[derive(Debug)]
pub(super) struct Graph {
    /// The most edges of a row.
    pub degree: usize,
    /// Of each row, the near ones.
    pub edges: ScalarBuffer<u32>,
    /// Of each list, rows where walks enter it.
    pub entries: ScalarBuffer<u32>,
    /// How many rows a walk must hold, by metric, rank and share; 0 where it does not get there.
    pub beams: ScalarBuffer<u32>,
}

impl Graph {
    /// True when edges and entries are rows of a file of so many.
    pub(super) fn is_sound(&self, rows: usize) -> bool {
        let mut named = self.edges.iter().chain(self.entries.iter());
        named.all(|row| *row == NOTHING || (*row as usize) < rows)
    }

    fn neighbours(&self, row: u32) -> &[u32] {
        let first = row as usize * self.degree;
        &self.edges[first..first + self.degree]
    }
}

impl Comparison<'_> {
    /// How many rows a walk to the `rank` nearest must hold; `None` where no walk finds enough of them.
    #[must_use]
    pub fn beam(&self, rank: usize) -> Option<usize> {
        let graph = self.codes.graph.as_ref()?;
        let metric = METRICS.iter().position(|known| *known == self.query.metric)?;
        let of_rank = RANKS.iter().position(|known| rank <= *known)?;
        let of_share = (0..SHARES).find(|at| share(*at) <= self.query.missed)?;
        let beam = graph.beams[(metric * RANKS.len() + of_rank) * SHARES + of_share] as usize;
        (beam > 0).then_some(beam.max(rank))
    }

    /// True when there is a graph of rows that are near by the query's metric.
    #[must_use]
    pub fn can_walk(&self) -> bool {
        let Some(graph) = &self.codes.graph else { return false };
        let of_metric = graph.beams.chunks_exact(RANKS.len() * SHARES).zip(METRICS);
        of_metric
            .into_iter()
            .any(|(beams, metric)| metric == self.query.metric && beams.iter().any(|beam| *beam > 0))
    }

    /// Rows found by a walk that holds `beam` of them, the nearest first as codes tell; none without a graph.
    #[must_use]
    pub fn walk(&self, beam: usize) -> Vec<usize> {
        let Some(graph) = &self.codes.graph else { return vec![] };
        let rows = self.codes.source.rows as usize;
        let mut walk = Walk { query: self, beam, seen: vec![0; rows.div_ceil(64)], found: vec![], next: 0 };
        let lists = self.nearest_lists(LISTS);
        let entries: Vec<u32> =
            lists.flat_map(|list| &graph.entries[list * ENTRIES..(list + 1) * ENTRIES]).copied().collect();
        walk.offer(&entries);
        while let Some(row) = walk.step() {
            walk.offer(graph.neighbours(row));
        }
        walk.found.into_iter().map(|found| found.row as usize).collect()
    }

    /// What a row's key is as far as its code tells.
    fn key(&self, row: u32, dot: i32) -> f32 {
        let (row, query) = (row as usize, self.query);
        let bytes = &self.codes.bytes;
        let similarity = self.base + bytes.steps[row] * query.step * dot as f32;
        match query.metric {
            Metric::L2 => bytes.norms[row] * (bytes.norms[row] - 2.0 * query.norm * similarity),
            Metric::InnerProduct => -bytes.norms[row] * similarity,
            _ => -similarity,
        }
    }
}

/// A row that a walk came by.
#[derive(Clone, Copy)]
struct Found {
    key: f32,
    row: u32,
    /// Whether its neighbours were looked at.
    left: bool,
}

/// A walk: from the nearest row whose neighbours were not looked at yet, as long as there is one among those held.
struct Walk<'a> {
    query: &'a Comparison<'a>,
    beam: usize,
    /// A bit for each row that it came by.
    seen: Vec<u64>,
    /// The nearest of them, the nearest first.
    found: Vec<Found>,
    /// No row before this one is left to look at.
    next: usize,
}

impl Walk<'_> {
    /// The row to look around next.
    fn step(&mut self) -> Option<u32> {
        let at = self.next + self.found[self.next..].iter().position(|found| !found.left)?;
        self.found[at].left = true;
        self.next = at + 1;
        Some(self.found[at].row)
    }

    /// Takes rows that are near to one that was found.
    fn offer(&mut self, rows: &[u32]) {
        let fresh: Vec<u32> =
            rows.iter().copied().filter(|row| *row != NOTHING && self.is_new(*row)).collect();
        let mut dots = vec![0; fresh.len()];
        dot_codes_at(&self.query.query.codes, &self.query.codes.bytes.codes, &fresh, &mut dots);
        for (row, dot) in fresh.into_iter().zip(dots) {
            self.hold(Found { key: self.query.key(row, dot), row, left: false });
        }
    }

    fn is_new(&mut self, row: u32) -> bool {
        let (word, bit) = (&mut self.seen[row as usize / 64], 1 << (row % 64));
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    fn hold(&mut self, found: Found) {
        if self.found.len() == self.beam {
            if self.found.last().is_some_and(|last| last.key <= found.key) {
                return;
            }
            self.found.pop();
        }
        let at = self.found.partition_point(|held| held.key <= found.key);
        self.found.insert(at, found);
        self.next = self.next.min(at);
    }
}

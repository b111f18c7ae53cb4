//! The best rows of a corpus for one query.
//!
//! Each index is walked by tantivy with the score that a row must beat to be among the `k` best (block-max WAND, Ding and Suel
//! 2011); rows that do not count are stepped over as they come up, so conditions hold before the `k` are chosen and are
//! looked at only in batches that a likely row is in. Among equal scores the row that comes first in the scan wins.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use datafusion::error::{DataFusionError, Result};
use tantivy::query::{EnableScoring, Weight};
use trilith_udfs::kernels::TopK;

use super::corpus::{Corpus, Indexed};
use super::query::{TextQuery, failed};
use crate::query::search::rows::{SearchedRows, Work, row_number};

/// One search under way, shared by its tasks.
pub(super) struct CorpusSearch {
    corpus: Corpus,
    weight: Option<Box<dyn Weight>>,
    k: usize,
    next: AtomicUsize,
    /// A score that `k` rows of some task reach, as bits: scores are compared, never added, so it needs no lock.
    reached: AtomicU32,
}

/// The rows of one unit within its part.
struct Placed {
    rows: Range<u64>,
    unit: usize,
}

impl CorpusSearch {
    /// Plans a query over a corpus.
    ///
    /// # Errors
    /// When the words of a file cannot be read.
    pub(super) fn new(corpus: Corpus, query: &TextQuery, k: usize) -> Result<Self> {
        let any = corpus.0.first().map(|indexed| indexed.words.searcher());
        let weight = match (query.query(), any) {
            (Some(query), Some(searcher)) => {
                let scoring = EnableScoring::enabled_from_statistics_provider(&corpus, searcher);
                Some(query.weight(scoring).map_err(failed)?)
            }
            _ => None,
        };
        let reached = AtomicU32::new(f32::MIN.to_bits());
        Ok(Self { corpus, weight, k, next: AtomicUsize::new(0), reached })
    }

    /// Number of rows wanted.
    pub(super) fn k(&self) -> usize {
        self.k
    }

    /// Offers the rows of the next index that nobody took; `None` when there is none. Returns how many were scored.
    pub(super) fn search_next(
        &self,
        rows: &SearchedRows,
        work: &Work,
        best: &mut TopK,
    ) -> Option<Result<usize>> {
        let indexed = self.corpus.0.get(self.next.fetch_add(1, Ordering::Relaxed))?;
        Some(self.search_index(rows, work, indexed, best))
    }

    fn search_index(
        &self,
        rows: &SearchedRows,
        work: &Work,
        indexed: &Indexed,
        best: &mut TopK,
    ) -> Result<usize> {
        let (Some(weight), Some(segment)) = (&self.weight, indexed.words.segment()) else { return Ok(0) };
        let mut visitor =
            Visitor { search: self, rows, work, placed: placed(rows, work, indexed.part), at: 0, best };
        let (mut scored, mut failure) = (0, None);
        let mut visit = |document, score| {
            scored += 1;
            visitor.offer(indexed.first + u64::from(document), score).unwrap_or_else(|error| {
                failure = Some(error);
                f32::INFINITY
            })
        };
        let threshold = self.threshold(f32::MIN);
        weight.for_each_pruning(threshold, segment, &mut visit).map_err(failed)?;
        failure.map_or(Ok(scored), Err)
    }

    /// The score that a row must beat; an equal one may still come before the others.
    fn threshold(&self, own: f32) -> f32 {
        own.max(f32::from_bits(self.reached.load(Ordering::Relaxed)).next_down())
    }

    fn reach(&self, score: f32) {
        let higher = |bits| (score > f32::from_bits(bits)).then_some(score.to_bits());
        // Failing to raise it means that another task's is higher already.
        let _ = self.reached.fetch_update(Ordering::Relaxed, Ordering::Relaxed, higher);
    }
}

/// The units of a part, by their rows.
fn placed(rows: &SearchedRows, work: &Work, part: usize) -> Vec<Placed> {
    let of_unit = |(number, unit)| {
        let (of, rows) = rows.scan.place(unit);
        (of == part).then_some(Placed { rows, unit: number })
    };
    work.units().filter_map(of_unit).collect()
}

/// Takes the rows of one index, in their order.
struct Visitor<'a> {
    search: &'a CorpusSearch,
    rows: &'a SearchedRows,
    work: &'a Work,
    placed: Vec<Placed>,
    at: usize,
    best: &'a mut TopK,
}

impl Visitor<'_> {
    /// Offers a row of the part; the score that the next one must beat.
    fn offer(&mut self, row: u64, score: f32) -> Result<f32, DataFusionError> {
        while self.placed.get(self.at).is_some_and(|unit| unit.rows.end <= row) {
            self.at += 1;
        }
        if let Some(Placed { rows, unit }) = self.placed.get(self.at).filter(|unit| unit.rows.contains(&row))
        {
            let row = (row - rows.start) as usize;
            let selected = self.work.selected(self.rows, *unit)?;
            if selected.as_ref().is_none_or(|selected| selected.value(row)) {
                self.best.push(-f64::from(score), row_number(*unit, row));
            }
        }
        Ok(self.search.threshold(self.worst()))
    }

    /// The least of `k` scores; none is needed until there are so many.
    fn worst(&self) -> f32 {
        let worst = -self.best.threshold() as f32;
        if worst.is_finite() {
            self.search.reach(worst);
            return worst;
        }
        f32::MIN
    }
}

//! The best rows for one sparse query.
//!
//! Rows are compared from the highest bound down until a bound is no better than the `k` best, so nothing that could be among them
//! is left out. A memtable has no bounds, nor has anything with negative numbers: all of that is compared.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::error::Result;
use trilith_udfs::kernels::{SparseQuery, TopK, within};
use trilith_udfs::sparse::SparseRows;

use super::postings::{Bounding, Postings};
use crate::query::scan::Unit;
use crate::query::search::rows::{SearchedRows, Work, row_number};
use crate::query::types::is_sparse;

/// About so many rows are compared before others are looked for.
const FIRST: usize = 256;
/// Rows are put in order so many at a time: most are never needed.
const SORTED_AT_ONCE: usize = 256;
/// The bound of a row that shares an index with the query is not above this.
const LEAST: f32 = -f32::MIN_POSITIVE;
/// Rows of which the best bound is taken, to tell what many bounds reach without putting them in order.
const STRETCH: usize = 64;

/// One search under way, shared by its tasks.
pub(super) struct SparseScan {
    rows: Arc<SearchedRows>,
    work: Arc<Work>,
    column: usize,
    query: SparseQuery,
    k: usize,
    next: AtomicUsize,
    /// A score that `k` rows of some task reach, as bits: scores are compared, never added, so it needs no lock.
    reached: AtomicU64,
}

/// One unit of a part: its rows within the part, and its number.
struct Placed {
    rows: Range<u64>,
    number: usize,
    unit: Unit,
    vectors: Option<SparseRows>,
}

/// The vectors of a column: those that are declared were put in order when they were written.
pub(super) fn vectors(rows: &SearchedRows, column: usize, values: &ArrayRef) -> Result<SparseRows> {
    let schema = rows.scan.schema();
    match values.as_struct_opt().filter(|_| is_sparse(schema.field(column))) {
        Some(declared) => Ok(SparseRows::of(declared)),
        None => SparseRows::new("sparse_search", values),
    }
}

impl SparseScan {
    pub(super) fn new(
        rows: Arc<SearchedRows>,
        work: Arc<Work>,
        column: usize,
        query: SparseQuery,
        k: usize,
    ) -> Self {
        let reached = AtomicU64::new(f64::NEG_INFINITY.to_bits());
        Self { rows, work, column, query, k, next: AtomicUsize::new(0), reached }
    }

    /// Number of rows wanted.
    pub(super) fn k(&self) -> usize {
        self.k
    }

    /// Offers the rows of the next part that nobody took; `None` when there is none. Returns how many were compared.
    pub(super) fn search_next(&self, best: &mut TopK) -> Option<Result<usize>> {
        let part = self.next.fetch_add(1, Ordering::Relaxed);
        (part < self.rows.scan.parts_len()).then(|| self.search_part(part, best))
    }

    fn search_part(&self, part: usize, best: &mut TopK) -> Result<usize> {
        let mut units = self.placed(part);
        if units.is_empty() {
            return Ok(0);
        }
        let postings = self.rows.scan.derived(part, self.column, &Bounding)?;
        match postings.and_then(|postings: Arc<Postings>| postings.bounds(&self.query)) {
            Some(bounds) => self.search_bounded(&mut units, &bounds, best),
            None => units
                .iter_mut()
                .try_fold(0, |compared, unit| Ok(compared + self.compare(unit, unit.rows.clone(), best)?)),
        }
    }

    /// Compares those whose bounds are best, then what these leave.
    fn search_bounded(&self, units: &mut [Placed], bounds: &[f32], best: &mut TopK) -> Result<usize> {
        let first = best_bound(bounds, FIRST.max(self.k.saturating_mul(2)));
        let mut compared = self.compare_within(units, bounds, (f32::NEG_INFINITY, first), best)?;
        // The threshold is kept in more bits than bounds are.
        let most = (-self.threshold(best) as f32).next_up().min(LEAST);
        if most > first {
            compared += self.compare_within(units, bounds, (first, most), best)?;
        }
        Ok(compared)
    }

    /// Compares the rows whose bounds lie beyond one and not beyond another, the best first, until none of them can be among the
    /// best.
    fn compare_within(
        &self,
        units: &mut [Placed],
        bounds: &[f32],
        (beyond, most): (f32, f32),
        best: &mut TopK,
    ) -> Result<usize> {
        let rows = within(bounds, most).into_iter().map(|row| (bounds[row], row as u64));
        let mut rows: Vec<(f32, u64)> = rows.filter(|(bound, _)| *bound > beyond).collect();
        let better = |a: &(f32, u64), b: &(f32, u64)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
        let (mut compared, mut left) = (0, &mut rows[..]);
        while !left.is_empty() {
            let some = SORTED_AT_ONCE.min(left.len());
            if some < left.len() {
                left.select_nth_unstable_by(some, better);
            }
            let (sorted, rest) = left.split_at_mut(some);
            sorted.sort_unstable_by(better);
            for (bound, row) in sorted {
                if -f64::from(*bound) < self.threshold(best) {
                    return Ok(compared);
                }
                let at = units.partition_point(|unit| unit.rows.end <= *row);
                if let Some(unit) = units.get_mut(at).filter(|unit| unit.rows.contains(row)) {
                    compared += self.compare(unit, *row..*row + 1, best)?;
                }
            }
            left = rest;
        }
        Ok(compared)
    }

    /// Offers some rows of a unit.
    fn compare(&self, unit: &mut Placed, rows: Range<u64>, best: &mut TopK) -> Result<usize> {
        let selected = self.work.selected(&self.rows, unit.number)?;
        let span = (rows.start - unit.rows.start) as usize..(rows.end - unit.rows.start) as usize;
        let wanted = |row: &usize| selected.as_ref().is_none_or(|selected| selected.value(*row));
        let rows: Vec<usize> = span.filter(wanted).collect();
        if rows.is_empty() {
            return Ok(0);
        }
        let vectors = match &mut unit.vectors {
            Some(vectors) => vectors,
            none => {
                let (batch, _) = self.rows.scan.read_unmasked(unit.unit, &[self.column])?;
                none.insert(vectors(&self.rows, self.column, batch.column(0))?)
            }
        };
        for row in &rows {
            let product = vectors.get(*row).and_then(|(indices, values)| self.query.dot(indices, values));
            if let Some(score) = product {
                best.push(-score, row_number(unit.number, *row));
            }
        }
        self.reach(-best.threshold());
        Ok(rows.len())
    }

    /// No row with a score below this is among the best; an equal one may come before the others.
    fn threshold(&self, best: &TopK) -> f64 {
        (-best.threshold()).max(f64::from_bits(self.reached.load(Ordering::Relaxed)))
    }

    fn reach(&self, score: f64) {
        let higher = |bits| (score > f64::from_bits(bits)).then_some(score.to_bits());
        // Failing to raise it means that another task's is higher already.
        let _ = self.reached.fetch_update(Ordering::Relaxed, Ordering::Relaxed, higher);
    }

    /// The units of a part, in the order of their rows.
    fn placed(&self, part: usize) -> Vec<Placed> {
        let of_unit = |(number, unit)| {
            let (of, rows) = self.rows.scan.place(unit);
            (of == part).then_some(Placed { rows, number, unit, vectors: None })
        };
        self.work.units().filter_map(of_unit).collect()
    }
}

/// A bound that at least `count` rows reach, or all that share an index: as many stretches of rows have a better one.
fn best_bound(bounds: &[f32], count: usize) -> f32 {
    let best = |stretch: &[f32]| stretch.iter().fold(0.0_f32, |best, bound| best.min(*bound));
    let mut stretches: Vec<f32> = bounds.chunks(STRETCH).map(best).collect();
    if count >= stretches.len() {
        return LEAST;
    }
    stretches.select_nth_unstable_by(count, f32::total_cmp).1.min(LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    #[test]
    fn enough_rows_reach_the_best_bound_and_none_that_shares_nothing() {
        let mut rng = SmallRng::seed_from_u64(1);
        for rows in [0, 1, 63, 64, 20_000] {
            for share in [0.0, 0.001, 1.0] {
                let mut bound = || if rng.random_bool(share) { -rng.random_range(0.1_f32..9.0) } else { 0.0 };
                let bounds: Vec<f32> = (0..rows).map(|_| bound()).collect();
                let best = best_bound(&bounds, 100);
                let sharing = bounds.iter().filter(|bound| **bound < 0.0).count();
                assert!(within(&bounds, best).len() >= sharing.min(100));
                assert!(within(&bounds, best).iter().all(|row| bounds[*row] < 0.0));
            }
        }
    }
}

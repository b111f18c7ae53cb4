//! The best rows for one sparse query.
//!
//! Rows are compared from the highest bound down until a bound is no better than the `k` best, so nothing that could be among them
//! is left out. A memtable has no bounds, nor has anything with negative numbers: all of that is compared.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::error::Result;
use trilith_udfs::kernels::{SparseQuery, TopK};
use trilith_udfs::sparse::SparseRows;

use super::postings::{Bounding, Postings};
use crate::query::scan::Unit;
use crate::query::search::rows::{SearchedRows, Work, row_number};
use crate::query::types::is_sparse;

/// Rows are put in order so many at a time: most are never needed.
const SORTED_AT_ONCE: usize = 256;

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
fn vectors(rows: &SearchedRows, column: usize, values: &ArrayRef) -> Result<SparseRows> {
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

    fn search_bounded(&self, units: &mut [Placed], bounds: &[f32], best: &mut TopK) -> Result<usize> {
        let bounded = (0..).zip(bounds).filter(|(_, bound)| **bound > 0.0);
        let mut rows: Vec<(f32, u64)> = bounded.map(|(row, bound)| (*bound, row)).collect();
        let higher = |a: &(f32, u64), b: &(f32, u64)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        let (mut compared, mut left) = (0, &mut rows[..]);
        while !left.is_empty() {
            let some = SORTED_AT_ONCE.min(left.len());
            if some < left.len() {
                left.select_nth_unstable_by(some, higher);
            }
            let (first, rest) = left.split_at_mut(some);
            first.sort_unstable_by(higher);
            for (bound, row) in first {
                if f64::from(*bound) < self.threshold(best) {
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

//! The rows that a search looks at, whatever it looks for: units of a scan, conditions, and how found rows come back.
//!
//! Conditions first: their columns are read alone, and a batch without a row that satisfies them is
//! never asked for what is searched. Those on distances come last among them. A row is known by (unit, row in unit); those numbers grow in scan order.

use std::ops;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use datafusion::arrow::array::{Array, AsArray, BooleanBufferBuilder, RecordBatch, RecordBatchOptions};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::interleave_record_batch;
use datafusion::error::Result;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns, split_conjunction};
use datafusion::physical_expr::{PhysicalExpr, conjunction};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;

use super::knn::Query;
use super::range::{Asked, Range, Within, split};
use crate::query::scan::{ScanPlan, Unit};

/// Bits of a row's number that count rows within a unit.
const ROW_BITS: u32 = 32;

/// The number of a row among all that are searched.
pub(super) fn row_number(unit: usize, row: usize) -> u64 {
    ((unit as u64) << ROW_BITS) | row as u64
}

/// The rows to search.
#[derive(Clone, Debug)]
pub(crate) struct SearchedRows {
    /// What is read.
    pub scan: Arc<ScanPlan>,
    /// The condition on rows, over the columns of the scan.
    pub filter: Option<Arc<dyn PhysicalExpr>>,
    /// Conditions on distances, which are looked at when the other holds.
    pub ranges: Vec<Range>,
}

/// The units of a search, handed out one by one to whoever is free, and what is found out about them once for all queries.
#[derive(Debug)]
pub(super) struct Work {
    units: Vec<Unit>,
    /// Runs of units that one task searches at once.
    shares: Vec<ops::Range<usize>>,
    next: AtomicUsize,
    /// Of each unit, the rows to search; all when `None`.
    selected: Vec<OnceLock<Option<BooleanBuffer>>>,
    asked: OnceLock<Vec<Asked>>,
}

impl Work {
    /// Each unit by itself.
    pub(super) fn new(rows: &SearchedRows) -> Self {
        let units: Vec<Unit> = rows.scan.units().collect();
        Self {
            shares: (0..units.len()).map(|number| number..number + 1).collect(),
            next: AtomicUsize::new(0),
            selected: units.iter().map(|_| OnceLock::new()).collect(),
            asked: OnceLock::new(),
            units,
        }
    }

    /// All units of a file together.
    pub(super) fn by_file(rows: &SearchedRows) -> Self {
        let work = Self::new(rows);
        let mut shares: Vec<ops::Range<usize>> = vec![];
        let file = |number: usize| rows.scan.place(work.units[number]).0;
        for number in 0..work.units.len() {
            match shares.last_mut() {
                Some(share) if file(share.start) == file(number) => share.end += 1,
                _ => shares.push(number..number + 1),
            }
        }
        Self { shares, ..work }
    }

    /// What is done at once.
    pub(super) fn shares(&self) -> &[ops::Range<usize>] {
        &self.shares
    }

    /// All units and their numbers.
    pub(super) fn units(&self) -> impl Iterator<Item = (usize, Unit)> + '_ {
        self.units.iter().copied().enumerate()
    }

    /// The units of these numbers, and their numbers.
    pub(super) fn units_in(&self, numbers: ops::Range<usize>) -> impl Iterator<Item = (usize, Unit)> + '_ {
        numbers.clone().zip(self.units[numbers].iter().copied())
    }

    /// The rows to search of unit `number`, found out once; all when `None`.
    pub(super) fn selected(&self, rows: &SearchedRows, number: usize) -> Result<&Option<BooleanBuffer>> {
        if let Some(selected) = self.selected[number].get() {
            return Ok(selected);
        }
        let asked = match self.asked.get() {
            Some(asked) => asked,
            None => {
                let asked = rows.asked()?;
                self.asked.get_or_init(|| asked)
            }
        };
        let selected = rows.selected(self.units[number], asked)?;
        Ok(self.selected[number].get_or_init(|| selected))
    }

    /// Whether anything is left to do.
    pub(super) fn is_left(&self) -> bool {
        self.next.load(Ordering::Relaxed) < self.shares.len()
    }

    /// What is to be done next.
    pub(super) fn take(&self) -> Option<ops::Range<usize>> {
        self.shares.get(self.next.fetch_add(1, Ordering::Relaxed)).cloned()
    }
}

impl SearchedRows {
    /// The rows of a scan under conditions over its columns.
    pub(super) fn under(scan: Arc<ScanPlan>, conditions: &[Arc<dyn PhysicalExpr>]) -> Self {
        let (ranges, others) = split(conditions.iter().flat_map(split_conjunction), &scan.schema());
        Self { scan, filter: (!others.is_empty()).then(|| conjunction(others)), ranges }
    }

    /// Takes away the condition on the distance of a column from a vector.
    pub(super) fn take_range(&mut self, vector: usize, query: &Query) -> Option<Within> {
        let of_it = self.ranges.iter().position(|range| range.is_of(vector, query))?;
        Some(self.ranges.remove(of_it).within)
    }

    /// The conditions for EXPLAIN.
    pub(super) fn conditions(&self) -> String {
        let filter = self.filter.as_ref().map_or_else(String::new, |filter| format!(", filter={filter}"));
        let schema = self.scan.schema();
        let ranges = self.ranges.iter().map(|range| format!(", range=[{}]", range.describe(&schema)));
        ranges.fold(filter, |all, range| all + &range)
    }

    /// The expressions in the conditions.
    pub(super) fn expressions(&self) -> impl Iterator<Item = &Arc<dyn PhysicalExpr>> {
        self.filter.iter().chain(self.ranges.iter().map(|range| &range.query.vector))
    }

    /// Adds the counters of the conditions to those of a node.
    pub(super) fn count_in(&self, metrics: &ExecutionPlanMetricsSet) {
        self.ranges.iter().for_each(|range| range.count_in(metrics));
    }

    /// The ranges with their vectors known.
    pub(super) fn asked(&self) -> Result<Vec<Asked>> {
        self.ranges.iter().map(Range::asked).collect()
    }

    /// Which rows of a unit are live and satisfy the conditions; all when `None`.
    pub(super) fn selected(&self, unit: Unit, asked: &[Asked]) -> Result<Option<BooleanBuffer>> {
        let passing = self.passing(unit)?;
        let selected = match (self.scan.live(unit).map(|live| live.values().clone()), passing) {
            (Some(live), Some(passing)) => Some(spread(&live, &passing)),
            (live, passing) => live.or(passing),
        };
        self.ranges.iter().zip(asked).try_fold(selected, |selected, (range, asked)| {
            range.near(asked, (&self.scan, unit), selected).map(Some)
        })
    }

    /// Which of the live rows of a unit satisfy the condition; all when there is none. Rows that are not
    /// live are not asked: an expression may fail on them.
    fn passing(&self, unit: Unit) -> Result<Option<BooleanBuffer>> {
        let Some(filter) = &self.filter else { return Ok(None) };
        let mut columns: Vec<usize> = collect_columns(filter).iter().map(|column| column.index()).collect();
        columns.sort_unstable();
        let batch = self.scan.read_live(unit, &columns)?;
        let filter = reassign_expr_columns(Arc::clone(filter), &batch.schema())?;
        let answer = filter.evaluate(&batch)?.into_array(batch.num_rows())?;
        let answer = answer.as_boolean();
        Ok(Some(match answer.nulls() {
            Some(valid) => answer.values() & valid.inner(),
            None => answer.values().clone(),
        }))
    }

    /// All columns of the scan.
    pub(super) fn all_columns(&self) -> Vec<usize> {
        (0..self.scan.schema().fields().len()).collect()
    }

    /// These columns of the rows of these numbers, in their order.
    pub(super) fn gather(&self, work: &Work, rows: &[u64], columns: &[usize]) -> Result<RecordBatch> {
        let mut numbers: Vec<usize> = rows.iter().map(|id| (id >> ROW_BITS) as usize).collect();
        numbers.sort_unstable();
        numbers.dedup();
        if numbers.is_empty() || columns.is_empty() {
            let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
            let empty = RecordBatch::new_empty(self.scan.schema()).project(columns)?;
            let (schema, columns, _) = empty.into_parts();
            return Ok(RecordBatch::try_new_with_options(schema, columns, &options)?);
        }
        let batches = numbers
            .iter()
            .map(|number| Ok(self.scan.read_unmasked(work.units[*number], columns)?.0))
            .collect::<Result<Vec<_>>>()?;
        let place = |id: &u64| {
            let batch = numbers.partition_point(|number| *number < (id >> ROW_BITS) as usize);
            (batch, (id & u64::from(u32::MAX)) as usize)
        };
        let places: Vec<(usize, usize)> = rows.iter().map(place).collect();
        Ok(interleave_record_batch(&batches.iter().collect::<Vec<_>>(), &places)?)
    }
}

/// The rows that `passing` names among those set in `live`, as rows among all.
fn spread(live: &BooleanBuffer, passing: &BooleanBuffer) -> BooleanBuffer {
    let mut spread = BooleanBufferBuilder::new(live.len());
    spread.append_n(live.len(), false);
    for (row, passes) in live.set_indices().zip(passing.iter()) {
        spread.set_bit(row, passes);
    }
    spread.finish()
}

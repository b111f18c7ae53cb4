//! An exact nearest-neighbour search over a planned scan: what is searched, and how a unit is.
//!
//! Conditions first: their columns are read alone, and a batch without a row that satisfies them is
//! never asked for its vectors. Distances are taken straight from the column's buffer, where deleted rows
//! are stepped over and not copied out. A row is known by (unit, row in unit); those numbers grow in
//! scan order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use datafusion::arrow::array::{Array, AsArray, BooleanBufferBuilder, RecordBatch, RecordBatchOptions};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::interleave_record_batch;
use datafusion::arrow::datatypes::Schema;
use datafusion::common::{ScalarValue, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use trilith_udfs::kernels::Metric;
use trilith_udfs::vector::{DistanceFunction, VectorQuery};

use super::coded::Coded;
use super::nearest::{Nearest, Placement};
use crate::query::scan::{ScanPlan, Unit};

/// Bits of a row's number that count rows within a unit.
const ROW_BITS: u32 = 32;

/// What is searched.
#[derive(Debug)]
pub(crate) struct KnnSearch {
    /// The rows to search.
    pub scan: Arc<ScanPlan>,
    /// The column of vectors, among those of the scan.
    pub vector: usize,
    /// The condition on rows, over the columns of the scan.
    pub filter: Option<Arc<dyn PhysicalExpr>>,
    /// Where rows without a distance stand.
    pub placement: Placement,
}

/// A vector that is known at the latest when the search starts, and how it is compared.
#[derive(Debug)]
pub(crate) struct Query {
    /// The distance function that the query names.
    pub function: ScalarUDF,
    /// Its metric.
    pub metric: Metric,
    /// The vector: a literal, or the value of a subquery.
    pub vector: Arc<dyn PhysicalExpr>,
}

impl Query {
    /// The share of the nearest rows that must be found; all when `None`.
    pub(super) fn recall(&self) -> Option<f64> {
        self.function.inner().downcast_ref::<DistanceFunction>()?.recall()
    }

    /// The vector; `None` when it is null.
    ///
    /// # Errors
    /// When the expression fails or its value is no vector.
    pub(super) fn known(&self) -> Result<Option<VectorQuery>> {
        let options = RecordBatchOptions::new().with_row_count(Some(1));
        let nothing = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options)?;
        let vector = match self.vector.evaluate(&nothing)? {
            ColumnarValue::Scalar(vector) => vector,
            ColumnarValue::Array(vectors) => ScalarValue::try_from_array(&vectors, 0)?,
        };
        match self.function.inner().downcast_ref::<DistanceFunction>() {
            Some(function) => VectorQuery::new(function, &vector),
            None => internal_err!("{} is no distance", self.function.name()),
        }
    }
}

/// The units of a search, handed out one by one to whoever is free, and what is found out about them once for all queries.
#[derive(Debug)]
pub(super) struct Work {
    units: Vec<Unit>,
    next: AtomicUsize,
    /// Of each unit, the rows to search; all when `None`.
    selected: Vec<OnceLock<Option<BooleanBuffer>>>,
}

impl Work {
    pub(super) fn new(search: &KnnSearch) -> Self {
        let units: Vec<Unit> = search.scan.units().collect();
        let selected = units.iter().map(|_| OnceLock::new()).collect();
        Self { units, next: AtomicUsize::new(0), selected }
    }

    /// All units and their numbers.
    pub(super) fn units(&self) -> impl Iterator<Item = (usize, Unit)> + '_ {
        self.units.iter().copied().enumerate()
    }

    /// The next unit and its number.
    pub(super) fn take(&self) -> Option<(usize, Unit)> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.units.get(number).map(|unit| (number, *unit))
    }
}

impl KnnSearch {
    /// Offers the rows of one unit that may be among the nearest; returns how many were compared.
    pub(super) fn search_unit(
        &self,
        query: Option<&VectorQuery>,
        coded: Option<&Coded>,
        work: &Work,
        (number, unit): (usize, Unit),
        nearest: &mut Nearest,
    ) -> Result<usize> {
        let selected = match work.selected[number].get() {
            Some(selected) => selected.clone(),
            None => {
                let selected = self.selected(unit)?;
                work.selected[number].get_or_init(|| selected).clone()
            }
        };
        if selected.as_ref().is_some_and(|rows| rows.count_set_bits() == 0) {
            return Ok(0);
        }
        let selected = match coded {
            Some(coded) => coded.narrow(&self.scan, (unit, self.vector), selected, nearest.threshold())?,
            None => selected,
        };
        if selected.as_ref().is_some_and(|rows| rows.count_set_bits() == 0) {
            return Ok(0);
        }
        let (batch, _) = self.scan.read_unmasked(unit, &[self.vector])?;
        let first = (number as u64) << ROW_BITS;
        let mut offer = |row, distance| nearest.push(first | row as u64, distance);
        match (query, &selected) {
            (Some(query), selected) => query.scan(batch.column(0), selected.as_ref(), offer)?,
            // No row has a distance to nothing.
            (None, Some(selected)) => selected.set_indices().for_each(|row| offer(row, None)),
            (None, None) => (0..batch.num_rows()).for_each(|row| offer(row, None)),
        }
        if let Some(coded) = coded {
            coded.saw(nearest.threshold());
        }
        Ok(selected.map_or(batch.num_rows(), |rows| rows.count_set_bits()))
    }

    /// Which rows of a unit are live and satisfy the condition; all when `None`.
    fn selected(&self, unit: Unit) -> Result<Option<BooleanBuffer>> {
        let passing = self.passing(unit)?;
        Ok(match (self.scan.live(unit).map(|live| live.values().clone()), passing) {
            (Some(live), Some(passing)) => Some(spread(&live, &passing)),
            (live, passing) => live.or(passing),
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

    /// All columns of the rows of these numbers, in their order.
    pub(super) fn gather(&self, work: &Work, rows: &[u64]) -> Result<RecordBatch> {
        let mut numbers: Vec<usize> = rows.iter().map(|id| (id >> ROW_BITS) as usize).collect();
        numbers.sort_unstable();
        numbers.dedup();
        if numbers.is_empty() {
            return Ok(RecordBatch::new_empty(self.scan.schema()));
        }
        let all: Vec<usize> = (0..self.scan.schema().fields().len()).collect();
        let batches = numbers
            .iter()
            .map(|number| Ok(self.scan.read_unmasked(work.units[*number], &all)?.0))
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

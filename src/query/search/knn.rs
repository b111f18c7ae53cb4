//! An exact nearest-neighbour search over the rows of a scan: what is searched, and how a unit is.
//!
//! Distances are taken straight from the column's buffer, where deleted rows are stepped over and not copied out.

use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::datatypes::Schema;
use datafusion::common::{ScalarValue, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_plan::metrics::Count;
use trilith_udfs::kernels::Metric;
use trilith_udfs::vector::{DistanceFunction, Effort, Reading, VectorQuery, is_vector};

use super::coded::{Coded, bitmap};
use super::nearest::{Nearest, Placement};
use super::range::Within;
use super::rows::{SearchedRows, Work, row_number};
use crate::query::scan::Unit;

/// What is searched.
#[derive(Debug)]
pub(crate) struct KnnSearch {
    /// The rows to search.
    pub rows: SearchedRows,
    /// The column of vectors, among those of the scan.
    pub vector: usize,
    /// Where rows without a distance stand.
    pub placement: Placement,
    /// How near a row must be; rows without a distance are not near then.
    pub within: Option<Within>,
}

/// A vector that is known at the latest when the search starts, and how it is compared.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    /// The distance function that the query names.
    pub function: ScalarUDF,
    /// Its metric.
    pub metric: Metric,
    /// The vector: a literal, or the value of a subquery.
    pub vector: Arc<dyn PhysicalExpr>,
}

impl Query {
    /// The column of vectors that a distance function is called with, and what it is compared with; `None` when the call is
    /// none of a column of vectors and a constant.
    pub(super) fn of_call(call: &ScalarFunctionExpr, schema: &Schema) -> Option<(usize, Self)> {
        let function = call.fun().inner().downcast_ref::<DistanceFunction>()?;
        let [left, right] = call.args() else { return None };
        let (column, constant) = column_and_constant(left, right)?;
        let query =
            Self { function: call.fun().clone(), metric: function.metric(), vector: Arc::clone(constant) };
        is_vector(schema.field(column.index()).data_type()).then_some((column.index(), query))
    }

    /// How the function that the query names reports distances.
    pub(super) fn reading(&self) -> Option<Reading> {
        Some(self.function.inner().downcast_ref::<DistanceFunction>()?.reading())
    }

    /// What the call says of how much must be found.
    pub(super) fn effort(&self) -> Effort {
        let function = self.function.inner().downcast_ref::<DistanceFunction>();
        function.map(DistanceFunction::effort).unwrap_or_default()
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

/// Distances are symmetric, so either side may be the constant: a literal, or a subquery of one value.
fn column_and_constant<'a>(
    left: &'a Arc<dyn PhysicalExpr>,
    right: &'a Arc<dyn PhysicalExpr>,
) -> Option<(&'a Column, &'a Arc<dyn PhysicalExpr>)> {
    let is_constant = |expr: &Arc<dyn PhysicalExpr>| collect_columns(expr).is_empty() && !is_volatile(expr);
    [(left, right), (right, left)]
        .into_iter()
        .filter(|(_, constant)| is_constant(constant))
        .find_map(|(column, constant)| Some((column.downcast_ref::<Column>()?, constant)))
}

impl KnnSearch {
    /// What codes say of a query's distances, as far as rows count at all; `None` when they say nothing.
    pub(super) fn coded(
        &self,
        query: &VectorQuery,
        k: usize,
        effort: Option<Effort>,
        counter: impl Fn(&'static str) -> Count,
    ) -> Option<Coded> {
        // Where all are wanted, none is to be missed.
        let effort = effort.filter(|_| k < usize::MAX);
        let coded = Coded::new(query, k, effort, counter)?;
        Some(match self.within.as_ref().and_then(Within::farthest) {
            Some(farthest) => coded.confined(farthest),
            None => coded,
        })
    }

    /// Offers the rows of one share of the work that may be among the nearest; returns how many were compared.
    pub(super) fn search_share(
        &self,
        query: Option<&VectorQuery>,
        coded: Option<&Coded>,
        (work, units): (&Work, Range<usize>),
        nearest: &mut Nearest,
    ) -> Result<usize> {
        let near = match coded {
            Some(coded) => {
                coded.near_rows(&self.rows, (work, units.clone()), self.vector, nearest.threshold())?
            }
            None => None,
        };
        let mut compared = 0;
        for (number, unit) in work.units_in(units) {
            let selected = match &near {
                Some(near) => Some(self.of_unit(near, unit)),
                None => self.narrowed(coded, (work, number, unit), nearest.threshold())?,
            };
            let offer = |row, distance| nearest.push(row_number(number, row), distance);
            compared += self.compare(query, unit, selected, offer)?;
            coded.inspect(|coded| coded.saw(nearest.threshold()));
        }
        Ok(compared)
    }

    /// Those of a file's rows that a unit holds.
    fn of_unit(&self, rows: &[usize], unit: Unit) -> BooleanBuffer {
        let (_, place) = self.rows.scan.place(unit);
        let place = place.start as usize..place.end as usize;
        let (first, end) =
            (rows.partition_point(|row| *row < place.start), rows.partition_point(|row| *row < place.end));
        bitmap(place, &rows[first..end])
    }

    /// The rows of a unit to compare; all when `None`.
    fn narrowed(
        &self,
        coded: Option<&Coded>,
        (work, number, unit): (&Work, usize, Unit),
        threshold: f64,
    ) -> Result<Option<BooleanBuffer>> {
        let selected = work.selected(&self.rows, number)?.clone();
        match coded.filter(|_| !is_empty(selected.as_ref())) {
            Some(coded) => coded.narrow(&self.rows.scan, (unit, self.vector), selected, threshold),
            None => Ok(selected),
        }
    }

    /// Offers these rows of a unit, all when `None`, that are near enough; returns how many were compared.
    pub(super) fn compare(
        &self,
        query: Option<&VectorQuery>,
        unit: Unit,
        selected: Option<BooleanBuffer>,
        mut take: impl FnMut(usize, Option<f64>),
    ) -> Result<usize> {
        if is_empty(selected.as_ref()) {
            return Ok(0);
        }
        let (batch, _) = self.rows.scan.read_unmasked(unit, &[self.vector])?;
        let mut offer = |row, distance| {
            if self.within.as_ref().is_none_or(|within| within.holds(distance)) {
                take(row, distance);
            }
        };
        match (query, &selected) {
            (Some(query), selected) => query.scan(batch.column(0), selected.as_ref(), offer)?,
            // No row has a distance to nothing.
            (None, Some(selected)) => selected.set_indices().for_each(|row| offer(row, None)),
            (None, None) => (0..batch.num_rows()).for_each(|row| offer(row, None)),
        }
        Ok(selected.map_or(batch.num_rows(), |rows| rows.count_set_bits()))
    }
}

fn is_empty(selected: Option<&BooleanBuffer>) -> bool {
    selected.is_some_and(|rows| rows.count_set_bits() == 0)
}

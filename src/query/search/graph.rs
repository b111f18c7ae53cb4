//! `knn_graph('table', 'column', k, 'metric', recall)`: a table function with the `k` nearest other rows of each row.
//!
//! Rows are named by their key: its columns, the same of the other row as `neighbor_...`, and `_distance`, in the order of a scan and
//! nearest first. Rows without a vector have no neighbors and are nobody's.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, RecordBatch, UInt64Array};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::plan_err;
use datafusion::error::Result;
use datafusion::logical_expr::ScalarUDF;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::StreamExt;

use super::arguments::METRIC_DEFAULT;
use super::call::{Call, Default, K_DEFAULT, Signature, optional, required};
use super::columns::{VECTORS, keys};
use super::computed::{Batches, Computation, ComputedTable};
use super::each::{Found, QUERIES_PER_BATCH, Questions, nearest_of_each};
use super::function::{DISTANCE, distance_udf};
use super::knn::KnnSearch;
use super::nearest::{Nulls, Placement};
use super::rows::{SearchedRows, Work, row_number};
use super::tables::Tables;

/// The function.
pub(super) static KNN_GRAPH: Signature = Signature {
    name: "knn_graph",
    arguments: &[
        required("table"),
        optional("column", Default::OnlyColumn),
        optional("k", Default::Whole(K_DEFAULT)),
        optional("metric", Default::Text(METRIC_DEFAULT)),
        optional("recall", Default::Nothing),
    ],
    example: "knn_graph('items', 'embedding', 10, 'cosine')",
};

/// The rows that a call gives.
///
/// # Errors
/// When the table has no key or no such column, or an argument is of the wrong kind.
pub(super) fn found(tables: &Tables, call: &Call) -> Result<Arc<dyn TableProvider>> {
    let (name, function) = (call.text("table")?, KNN_GRAPH.name);
    let table = tables.own_table(function, &name)?;
    let column = VECTORS.named_or_only(call, "column", (&name, &*table))?;
    VECTORS.check(call, (&name, &*table), &column)?;
    let own = table.schema();
    let keys: Vec<Field> = keys(&*table).into_iter().map(|at| own.field(at).clone()).collect();
    if keys.is_empty() {
        return plan_err!("{function}: table {name:?} has no primary key to name its rows by; give it one");
    }
    let others = keys.iter().map(|key| key.clone().with_name(format!("neighbor_{}", key.name())));
    let distance = Field::new(DISTANCE, DataType::Float64, false);
    let fields: Vec<Field> = keys.iter().cloned().chain(others).chain([distance]).collect();
    if fields.iter().map(Field::name).collect::<HashSet<_>>().len() < fields.len() {
        return plan_err!(
            "{function}: a key column of table {name:?} has the name of another column of the result; rename it"
        );
    }
    let schema = Arc::new(Schema::new(fields));
    let graph = Graph {
        keys: keys.iter().map(|key| key.name().clone()).collect(),
        column,
        k: call.count("k")?,
        distance: distance_udf(call.metric("metric")?, call.effort()?),
        schema: Arc::clone(&schema),
    };
    Ok(Arc::new(ComputedTable::new(table, Arc::new(graph), schema)))
}

/// What one call asks for.
#[derive(Debug)]
struct Graph {
    keys: Vec<String>,
    column: String,
    k: usize,
    distance: ScalarUDF,
    schema: SchemaRef,
}

impl Computation for Graph {
    fn node(&self) -> &'static str {
        "KnnGraphExec"
    }

    fn describe(&self) -> String {
        format!("column={}, by={}, k={}", self.column, self.distance.name(), self.k)
    }

    fn reads(&self) -> Vec<&str> {
        self.keys.iter().chain([&self.column]).map(String::as_str).collect()
    }

    fn batches(
        self: Arc<Self>,
        rows: Arc<SearchedRows>,
        threads: usize,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Batches {
        let (metrics, work) = (metrics.clone(), Arc::new(Work::by_file(&rows)));
        let shares: Vec<(usize, Range<usize>)> = shares(&rows, &work);
        let batches = futures::stream::iter(shares).then(move |share| {
            let (graph, rows, work) = (Arc::clone(&self), Arc::clone(&rows), Arc::clone(&work));
            let metrics = metrics.clone();
            async move { graph.of_share(&rows, &work, share, (threads, &metrics)).await }
        });
        batches.boxed()
    }
}

/// The rows of each unit, by its number, so many at a time as are asked for at once.
fn shares(rows: &SearchedRows, work: &Work) -> Vec<(usize, Range<usize>)> {
    let of_unit = |(number, unit)| {
        let (_, place) = rows.scan.place(unit);
        let len = (place.end - place.start) as usize;
        (0..len)
            .step_by(QUERIES_PER_BATCH)
            .map(move |first| (number, first..len.min(first + QUERIES_PER_BATCH)))
    };
    work.units().flat_map(of_unit).collect()
}

impl Graph {
    async fn of_share(
        &self,
        rows: &Arc<SearchedRows>,
        work: &Arc<Work>,
        (number, share): (usize, Range<usize>),
        (threads, metrics): (usize, &ExecutionPlanMetricsSet),
    ) -> Result<RecordBatch> {
        let vector = rows.scan.schema().index_of(&self.column)?;
        let live: Vec<u64> = match work.selected(rows, number)? {
            Some(selected) => share.filter(|row| selected.value(*row)).map(|row| row as u64).collect(),
            None => share.map(|row| row as u64).collect(),
        };
        let Some((_, unit)) = work.units().nth(number) else {
            return Ok(RecordBatch::new_empty(Arc::clone(&self.schema)));
        };
        let (batch, _) = rows.scan.read_unmasked(unit, &[vector])?;
        let vectors = take(batch.column(0), &UInt64Array::from(live.clone()), None)?;
        // A row is the nearest to itself, unless others have the same vector.
        let questions = Arc::new(Questions::new(&self.distance, &vectors, self.k.saturating_add(1))?);
        let placement = Placement { nulls: Nulls::Excluded, nan_first: false };
        let search = Arc::new(KnnSearch { rows: (**rows).clone(), vector, placement, within: None });
        let found = nearest_of_each((&search, &questions), work, 0..live.len(), threads, metrics).await?;
        self.edges(rows, work, &found, |query| row_number(number, live[query] as usize))
    }

    /// The rows of the result.
    fn edges(
        &self,
        rows: &SearchedRows,
        work: &Work,
        found: &Found,
        asked: impl Fn(usize) -> u64,
    ) -> Result<RecordBatch> {
        let (mut from, mut to, mut distances) = (vec![], vec![], vec![]);
        for (query, near) in found {
            let own = asked(*query);
            for other in near.iter().filter(|near| near.id != own).take(self.k) {
                from.push(own);
                to.push(other.id);
                distances.push(other.distance);
            }
        }
        let read = rows.scan.schema();
        let keys = self.keys.iter().map(|key| Ok(read.index_of(key)?)).collect::<Result<Vec<usize>>>()?;
        let (from, to) = (rows.gather(work, &from, &keys)?, rows.gather(work, &to, &keys)?);
        let distances: ArrayRef = Arc::new(Float64Array::from(distances));
        Ok(RecordBatch::try_new(
            Arc::clone(&self.schema),
            [from.columns(), to.columns(), &[distances]].concat(),
        )?)
    }
}

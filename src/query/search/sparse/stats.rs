//! `sparse_stats('table', 'column')`: a table function with one row that says what a column of sparse vectors holds.
//!
//! It counts rows as they are now, in whatever files they are: `vectors` that are not null, the `vocabulary` of distinct indices,
//! `postings`, which are the indices of all vectors, and `mean_non_zeros`, those of one on average.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::error::Result;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::StreamExt;

use super::search::vectors;
use crate::query::search::call::{Call, Default, Signature, optional, required};
use crate::query::search::columns::SPARSE;
use crate::query::search::computed::{Batches, Computation, ComputedTable};
use crate::query::search::rows::{SearchedRows, Work};
use crate::query::search::tables::Tables;
use crate::query::search::tasks::on_all;

/// The function.
pub(crate) static SPARSE_STATS: Signature = Signature {
    name: "sparse_stats",
    arguments: &[required("table"), optional("column", Default::OnlyColumn)],
    example: "sparse_stats('pages', 'terms')",
};

/// The row that a call gives.
///
/// # Errors
/// When the table has no such column.
pub(crate) fn stats(tables: &Tables, call: &Call) -> Result<Arc<dyn TableProvider>> {
    let name = call.text("table")?;
    let table = tables.own_table(SPARSE_STATS.name, &name)?;
    let column = SPARSE.named_or_only(call, "column", (&name, &*table))?;
    SPARSE.check(call, (&name, &*table), &column)?;
    let schema = schema();
    Ok(Arc::new(ComputedTable::new(
        table,
        Arc::new(SparseStats { column, schema: Arc::clone(&schema) }),
        schema,
    )))
}

fn schema() -> SchemaRef {
    let count = |name: &str| Field::new(name, DataType::Int64, false);
    let mean = Field::new("mean_non_zeros", DataType::Float64, true);
    Arc::new(Schema::new(vec![count("vectors"), count("vocabulary"), count("postings"), mean]))
}

/// What one call counts.
#[derive(Debug)]
struct SparseStats {
    column: String,
    schema: SchemaRef,
}

impl Computation for SparseStats {
    fn node(&self) -> &'static str {
        "SparseStatsExec"
    }

    fn describe(&self) -> String {
        format!("column={}", self.column)
    }

    fn reads(&self) -> Vec<&str> {
        vec![&self.column]
    }

    fn batches(
        self: Arc<Self>,
        rows: Arc<SearchedRows>,
        threads: usize,
        _: &ExecutionPlanMetricsSet,
    ) -> Batches {
        let row = async move {
            let work = Arc::new(Work::new(&rows));
            let mut all = Counts::default();
            for counts in on_all(threads, || count(Arc::clone(&rows), Arc::clone(&work))).await? {
                all.merge(counts);
            }
            all.row(&self.schema)
        };
        futures::stream::once(row).boxed()
    }
}

/// One task: counts units until none is left, letting others run in between.
async fn count(rows: Arc<SearchedRows>, work: Arc<Work>) -> Result<Counts> {
    let mut counts = Counts::default();
    while let Some(units) = work.take() {
        for (number, unit) in work.units_in(units) {
            let selected = work.selected(&rows, number)?;
            let (batch, _) = rows.scan.read_unmasked(unit, &[0])?;
            let vectors = vectors(&rows, 0, batch.column(0))?;
            let live = |row: &usize| selected.as_ref().is_none_or(|selected| selected.value(*row));
            for (indices, _) in (0..vectors.len()).filter(live).filter_map(|row| vectors.get(row)) {
                counts.add(indices);
            }
        }
        tokio::task::yield_now().await;
    }
    Ok(counts)
}

/// What has been counted.
#[derive(Debug, Default)]
struct Counts {
    vectors: i64,
    postings: i64,
    vocabulary: HashSet<u32>,
}

impl Counts {
    fn add(&mut self, indices: &[u32]) {
        self.vectors += 1;
        self.postings += indices.len() as i64;
        self.vocabulary.extend(indices);
    }

    fn merge(&mut self, other: Self) {
        self.vectors += other.vectors;
        self.postings += other.postings;
        self.vocabulary.extend(other.vocabulary);
    }

    fn row(&self, schema: &SchemaRef) -> Result<RecordBatch> {
        let count = |value: i64| Arc::new(Int64Array::from(vec![value])) as ArrayRef;
        let mean = (self.vectors > 0).then(|| self.postings as f64 / self.vectors as f64);
        let columns = vec![
            count(self.vectors),
            count(self.vocabulary.len() as i64),
            count(self.postings),
            Arc::new(Float64Array::from(vec![mean])),
        ];
        Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
    }
}

//! The right side of a nearest join: rows of a table of this database, searched as any search does, or rows that something
//! else gives, held in memory and compared one by one.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt64Array};
use datafusion::arrow::compute::{concat_batches, take_record_batch};
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder};
use datafusion::physical_plan::{ExecutionPlan, collect};

use crate::query::search::each::{Found, Questions, nearest_of_each};
use crate::query::search::knn::KnnSearch;
use crate::query::search::nearest::Nearest;
use crate::query::search::recognise::searched;
use crate::query::search::rows::Work;

/// Where the rows come from.
#[derive(Clone, Debug)]
pub(super) enum Side {
    /// A table of this database, and what makes the columns of the join of those of its scan, the last first.
    Table(Arc<KnnSearch>, Vec<ProjectionExprs>),
    /// A plan, and its column of vectors.
    Plan(Arc<dyn ExecutionPlan>, usize),
}

impl Side {
    /// The rows of a plan, to be found by its column `vector`.
    pub(super) fn new(plan: Arc<dyn ExecutionPlan>, vector: usize) -> Result<Self> {
        Ok(match searched(&plan, vector)? {
            Some((search, projections)) => Self::Table(Arc::new(search), projections),
            None => Self::Plan(plan, vector),
        })
    }

    /// What is searched, once the join runs.
    pub(super) async fn rows(&self, context: &Arc<TaskContext>) -> Result<Rows> {
        Ok(match self {
            Self::Table(search, projections) => {
                let work = Arc::new(Work::by_file(&search.rows));
                Rows::Table(Arc::clone(search), projections.clone(), work)
            }
            Self::Plan(plan, vector) => {
                let batches = collect(Arc::clone(plan), Arc::clone(context)).await?;
                Rows::Held(concat_batches(&plan.schema(), &batches)?, *vector)
            }
        })
    }
}

/// The rows of a side.
pub(super) enum Rows {
    Table(Arc<KnnSearch>, Vec<ProjectionExprs>, Arc<Work>),
    Held(RecordBatch, usize),
}

impl Rows {
    /// The nearest rows of each query.
    pub(super) async fn nearest(
        &self,
        questions: Questions,
        threads: usize,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Found> {
        match self {
            Self::Table(search, _, work) => {
                let (count, questions) = (questions.queries.len(), Arc::new(questions));
                nearest_of_each((search, &questions), work, 0..count, threads, metrics).await
            }
            Self::Held(batch, vector) => compared(batch.column(*vector), &questions, metrics).await,
        }
    }

    /// The rows of these numbers, in their order.
    pub(super) fn gather(&self, ids: &[u64]) -> Result<RecordBatch> {
        match self {
            Self::Held(batch, _) => {
                Ok(take_record_batch(batch, &UInt64Array::from_iter_values(ids.iter().copied()))?)
            }
            Self::Table(search, projections, work) => {
                let rows = search.rows.gather(work, ids, &search.rows.all_columns())?;
                projections.iter().rev().try_fold(rows, |rows, projection| projected(&rows, projection))
            }
        }
    }
}

/// The nearest of rows in memory.
async fn compared(
    vectors: &ArrayRef,
    questions: &Questions,
    metrics: &ExecutionPlanMetricsSet,
) -> Result<Found> {
    let compared = MetricBuilder::new(metrics).global_counter("rows_compared");
    let mut found = Vec::with_capacity(questions.queries.len());
    for (number, query) in questions.queries.iter().enumerate() {
        let Some(query) = query else { continue };
        let mut nearest = Nearest::new(questions.k);
        query.scan(vectors, None, |row, distance| nearest.push(row as u64, distance))?;
        compared.add(vectors.len());
        found.push((number, nearest.into_near()));
        tokio::task::yield_now().await;
    }
    Ok(found)
}

fn projected(rows: &RecordBatch, projection: &ProjectionExprs) -> Result<RecordBatch> {
    let column = |expr: &datafusion::physical_expr::projection::ProjectionExpr| {
        expr.expr.evaluate(rows)?.into_array(rows.num_rows())
    };
    let columns = projection.iter().map(column).collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    let schema = Arc::new(projection.project_schema(&rows.schema())?);
    Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
}

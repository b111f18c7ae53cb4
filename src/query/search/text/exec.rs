//! `TextSearchExec`: the plan node of a search by words.
//!
//! A leaf: it reads the table itself, on as many tasks as there are processors for it, and gives one partition of at most `k`
//! rows, best first, with the columns of the scan and the score.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, RecordBatch};
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::runtime::JoinSet;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::col;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, EmissionType, SchedulingType, apply_expression_roots,
};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet, RecordOutput,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use trilith_udfs::kernels::{Neighbor, TopK};

use super::corpus::{Corpus, TextSource};
use super::query::TextQuery;
use super::search::CorpusSearch;
use crate::query::search::rows::{SearchedRows, Work};

/// What is looked for, and where.
#[derive(Debug)]
pub(in crate::query::search) struct Wording {
    /// The column, among those of the scan.
    pub column: usize,
    /// What is indexed of it, and how.
    pub(super) source: TextSource,
    /// The query as it was given.
    pub text: String,
    /// The query.
    pub(super) query: TextQuery,
}

/// Finds the `k` rows that fit a query best.
#[derive(Clone, Debug)]
pub(super) struct TextSearchExec {
    rows: Arc<SearchedRows>,
    wording: Arc<Wording>,
    k: usize,
    metrics: ExecutionPlanMetricsSet,
    properties: Arc<PlanProperties>,
}

impl TextSearchExec {
    /// A search over the rows of a scan; `schema` is the scan's with the score at the end.
    pub(super) fn new(rows: SearchedRows, wording: Wording, k: usize, schema: SchemaRef) -> Result<Self> {
        let options = SortOptions { descending: true, nulls_first: false };
        let score = schema.field(schema.fields().len() - 1).name();
        let best_first = PhysicalSortExpr::new(col(score, &schema)?, options);
        let properties = PlanProperties::new(
            EquivalenceProperties::new_with_orderings(schema, [[best_first]]),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        Ok(Self {
            rows: Arc::new(rows),
            wording: Arc::new(wording),
            k,
            metrics: ExecutionPlanMetricsSet::new(),
            properties: Arc::new(properties),
        })
    }

    async fn run(self) -> Result<RecordBatch> {
        let work = Arc::new(Work::new(&self.rows));
        let scored = MetricBuilder::new(&self.metrics).global_counter("rows_scored");
        let best = best_rows(&self.rows, &work, &self.wording, self.k, &scored).await?;
        let ids: Vec<u64> = best.iter().map(|row| row.id).collect();
        let rows = self.rows.gather(&work, &ids)?;
        let scores: ArrayRef = Arc::new(Float64Array::from_iter_values(best.iter().map(|row| -row.distance)));
        Ok(RecordBatch::try_new(self.schema(), [rows.columns(), &[scores]].concat())?)
    }
}

/// The `k` best rows, best first; distances are negative scores.
pub(in crate::query::search) async fn best_rows(
    rows: &Arc<SearchedRows>,
    work: &Arc<Work>,
    wording: &Wording,
    k: usize,
    scored: &Count,
) -> Result<Vec<Neighbor>> {
    let corpus = Corpus::new(&rows.scan, wording.column, &wording.source)?;
    let search = Arc::new(CorpusSearch::new(corpus, &wording.query, k)?);
    let mut tasks = JoinSet::new();
    let task = || search_indexes(Arc::clone(&search), Arc::clone(rows), Arc::clone(work), scored.clone());
    for _ in 1..rows.scan.partitions_len() {
        tasks.spawn(task());
    }
    // This task is one of them: it would only wait.
    let mut best = task().await?;
    while let Some(found) = tasks.join_next().await {
        best.merge(found.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))??);
    }
    Ok(best.into_sorted())
}

/// One task: searches indexes until none is left, letting others run in between.
async fn search_indexes(
    search: Arc<CorpusSearch>,
    rows: Arc<SearchedRows>,
    work: Arc<Work>,
    scored: Count,
) -> Result<TopK> {
    let mut best = TopK::new(search.k());
    while let Some(count) = search.search_next(&rows, &work, &mut best) {
        scored.add(count?);
        tokio::task::yield_now().await;
    }
    Ok(best)
}

impl DisplayAs for TextSearchExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scan, Wording { column, source, text, .. }) = (&self.rows.scan, &*self.wording);
        let schema = scan.schema();
        let column = schema.field(*column).name();
        write!(f, "TextSearchExec: table={}, column={column}, query={text:?}, ", scan.table())?;
        write!(f, "language={}, k={}", source.analyzer.name(), self.k)?;
        if let Some(filter) = &self.rows.filter {
            write!(f, ", filter={filter}")?;
        }
        write!(f, ", batches={}/{}", scan.units().count(), scan.batches_total())
    }
}

impl ExecutionPlan for TextSearchExec {
    fn name(&self) -> &'static str {
        "TextSearchExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        apply_expression_roots(self.rows.filter.iter(), f)
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let search = self.clone();
        let rows = futures::stream::once(async move {
            let time = baseline.elapsed_compute().clone();
            let _timer = time.timer();
            search.run().await.record_output(&baseline)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

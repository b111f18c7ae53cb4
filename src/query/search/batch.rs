//! `KnnBatchExec`: the plan node of many nearest-neighbour searches over one table.
//!
//! A leaf like `KnnExec`, for queries that are known when it is planned: tasks take whole queries, not units of one, and
//! share what conditions let through. It gives at most `k` rows for each query, nearest first, in the order of the queries,
//! with the query's number and the distance as the last columns. Rows without a distance are not found.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, EmissionType, SchedulingType, apply_expression_roots,
};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::StreamExt;
use trilith_udfs::kernels::Neighbor;

use super::call::Most;
use super::each::{QUERIES_PER_BATCH, Questions, nearest_of_each};
use super::effort::strategy;
use super::knn::KnnSearch;
use super::rows::Work;

/// Finds the `k` nearest rows of each query.
#[derive(Clone, Debug)]
pub(super) struct KnnBatchExec {
    search: Arc<KnnSearch>,
    questions: Arc<Questions>,
    metrics: ExecutionPlanMetricsSet,
    properties: Arc<PlanProperties>,
}

impl KnnBatchExec {
    /// Searches over the columns of a scan; `schema` is theirs with the query's number and the distance at the end.
    pub(super) fn new(search: KnnSearch, questions: Questions, schema: SchemaRef) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        let metrics = ExecutionPlanMetricsSet::new();
        search.rows.count_in(&metrics);
        Self {
            search: Arc::new(search),
            questions: Arc::new(questions),
            metrics,
            properties: Arc::new(properties),
        }
    }

    /// The rows of queries `first..end`.
    async fn run(self, work: Arc<Work>, (first, end): (usize, usize), threads: usize) -> Result<RecordBatch> {
        let search = (&self.search, &self.questions);
        let found = nearest_of_each(search, &work, first..end, threads, &self.metrics).await?;
        self.gather(&work, &found)
    }

    fn gather(&self, work: &Work, found: &[(usize, Vec<Neighbor>)]) -> Result<RecordBatch> {
        let all = || found.iter().flat_map(|(query, near)| near.iter().map(move |near| (*query, near)));
        let ids: Vec<u64> = all().map(|(_, near)| near.id).collect();
        let rows = self.search.rows.gather(work, &ids, &self.search.rows.all_columns())?;
        let queries: ArrayRef = Arc::new(Int64Array::from_iter_values(all().map(|(query, _)| query as i64)));
        let distances: ArrayRef =
            Arc::new(Float64Array::from_iter_values(all().map(|(_, near)| near.distance)));
        let columns = [rows.columns(), &[queries, distances]].concat();
        Ok(RecordBatch::try_new(self.schema(), columns)?)
    }
}

impl DisplayAs for KnnBatchExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Questions { queries, metric, k, effort } = &*self.questions;
        let scan = &self.search.rows.scan;
        let schema = scan.schema();
        let column = schema.field(self.search.vector).name();
        let k = Most(*k);
        write!(f, "KnnBatchExec: table={}, column={column}, metric={metric}, k={k}, ", scan.table())?;
        if let Some(within) = &self.search.within {
            write!(f, "within=[{within}], ")?;
        }
        f.write_str(&strategy(self.search.effort(*metric, *effort)))?;
        write!(f, ", queries={}", queries.len())?;
        write!(
            f,
            "{}, batches={}/{}",
            self.search.rows.conditions(),
            scan.units().count(),
            scan.batches_total()
        )
    }
}

impl ExecutionPlan for KnnBatchExec {
    fn name(&self) -> &'static str {
        "KnnBatchExec"
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
        apply_expression_roots(self.search.rows.expressions(), f)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let (node, work) = (self.clone(), Arc::new(Work::by_file(&self.search.rows)));
        let (count, threads) = (self.questions.queries.len(), context.session_config().target_partitions());
        let firsts = futures::stream::iter((0..count).step_by(QUERIES_PER_BATCH));
        let rows = firsts.then(move |first| {
            let (node, work, baseline) = (node.clone(), Arc::clone(&work), baseline.clone());
            async move {
                let time = baseline.elapsed_compute().clone();
                let _timer = time.timer();
                let end = count.min(first + QUERIES_PER_BATCH);
                node.run(work, (first, end), threads).await.record_output(&baseline)
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

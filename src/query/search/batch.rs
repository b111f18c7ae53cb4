//! `KnnBatchExec`: the plan node of many nearest-neighbour searches over one table.
//!
//! A leaf like `KnnExec`, for queries that are known when it is planned: tasks take whole queries, not units of one, and
//! share what conditions let through. It gives at most `k` rows for each query, nearest first, in the order of the queries,
//! with the query's number and the distance as the last columns. Rows without a distance are not found.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::runtime::JoinSet;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, EmissionType, SchedulingType, apply_expression_roots,
};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet, RecordOutput,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::StreamExt;
use trilith_udfs::kernels::{Metric, Neighbor};
use trilith_udfs::vector::VectorQuery;

use super::coded::Coded;
use super::knn::KnnSearch;
use super::nearest::Nearest;
use super::rows::Work;

/// Queries whose rows make one batch of the result.
const QUERIES_PER_BATCH: usize = 256;

/// What is asked.
#[derive(Debug)]
pub(super) struct Questions {
    /// A query that is null finds nothing.
    pub queries: Vec<Option<VectorQuery>>,
    pub metric: Metric,
    pub k: usize,
    /// The share of the nearest rows that must be found; all when `None`.
    pub recall: Option<f64>,
}

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
        Self {
            search: Arc::new(search),
            questions: Arc::new(questions),
            metrics: ExecutionPlanMetricsSet::new(),
            properties: Arc::new(properties),
        }
    }

    /// The rows of queries `first..end`.
    async fn run(self, work: Arc<Work>, (first, end): (usize, usize), threads: usize) -> Result<RecordBatch> {
        let next = Arc::new(AtomicUsize::new(first));
        let mut tasks = JoinSet::new();
        for _ in 0..threads.min(end - first) {
            tasks.spawn(self.clone().answer(Arc::clone(&work), Arc::clone(&next), end));
        }
        let mut found = Vec::with_capacity(end - first);
        while let Some(answers) = tasks.join_next().await {
            found.extend(answers.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))??);
        }
        found.sort_unstable_by_key(|(query, _)| *query);
        self.gather(&work, &found)
    }

    /// One task: answers queries until none is left, letting others run in between.
    async fn answer(
        self,
        work: Arc<Work>,
        next: Arc<AtomicUsize>,
        end: usize,
    ) -> Result<Vec<(usize, Vec<Neighbor>)>> {
        let counter = |name| MetricBuilder::new(&self.metrics).global_counter(name);
        let compared = counter("rows_compared");
        let Questions { queries, k, recall, .. } = &*self.questions;
        let mut answers = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(query) = queries.get(number).filter(|_| number < end) else { return Ok(answers) };
            let Some(query) = query else { continue };
            let coded = Coded::new(query, *k, *recall, counter);
            let mut nearest = Nearest::new(*k);
            for numbered in work.units() {
                let rows =
                    self.search.search_unit(Some(query), coded.as_ref(), &work, numbered, &mut nearest)?;
                compared.add(rows);
                tokio::task::yield_now().await;
            }
            answers.push((number, nearest.into_near()));
        }
    }

    fn gather(&self, work: &Work, found: &[(usize, Vec<Neighbor>)]) -> Result<RecordBatch> {
        let all = || found.iter().flat_map(|(query, near)| near.iter().map(move |near| (*query, near)));
        let ids: Vec<u64> = all().map(|(_, near)| near.id).collect();
        let rows = self.search.rows.gather(work, &ids)?;
        let queries: ArrayRef = Arc::new(Int64Array::from_iter_values(all().map(|(query, _)| query as i64)));
        let distances: ArrayRef =
            Arc::new(Float64Array::from_iter_values(all().map(|(_, near)| near.distance)));
        let columns = [rows.columns(), &[queries, distances]].concat();
        Ok(RecordBatch::try_new(self.schema(), columns)?)
    }
}

impl DisplayAs for KnnBatchExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Questions { queries, metric, k, recall } = &*self.questions;
        let scan = &self.search.rows.scan;
        let schema = scan.schema();
        let column = schema.field(self.search.vector).name();
        write!(f, "KnnBatchExec: table={}, column={column}, metric={metric}, k={k}, ", scan.table())?;
        match recall {
            Some(recall) => write!(f, "strategy=codes, recall={recall}")?,
            None => write!(f, "strategy=exact")?,
        }
        write!(f, ", queries={}", queries.len())?;
        if let Some(filter) = &self.search.rows.filter {
            write!(f, ", filter={filter}")?;
        }
        write!(f, ", batches={}/{}", scan.units().count(), scan.batches_total())
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
        apply_expression_roots(self.search.rows.filter.iter(), f)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let (node, work) = (self.clone(), Arc::new(Work::new(&self.search.rows)));
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

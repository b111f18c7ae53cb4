//! `KnnExec`: the plan node of an exact nearest-neighbour search.
//!
//! A leaf: it reads the table itself, on as many tasks as the scan had partitions, and gives one
//! partition of at most `k` rows, nearest first. In the place of a scan and a sort it has the columns of the scan, and
//! the projection above computes distances again, for `k` rows; asked for by name it gives what is wanted, distances included.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Statistics;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::coop::cooperative;
use datafusion::physical_plan::execution_plan::{
    Boundedness, EmissionType, SchedulingType, apply_expression_roots,
};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet, RecordOutput,
};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};

use futures::StreamExt;
use trilith_udfs::vector::VectorQuery;

use super::call::Most;
use super::coded::Coded;
use super::effort::strategy;
use super::knn::{KnnSearch, Query};
use super::nearest::Nearest;
use super::rows::Work;
use super::tasks::on_all;

/// Rows that are read and given at once.
const ROWS_PER_BATCH: usize = 8192;

/// Finds the `k` nearest rows.
#[derive(Clone, Debug)]
pub(super) struct KnnExec {
    search: Arc<KnnSearch>,
    query: Arc<Query>,
    k: usize,
    shown: Option<Arc<Shown>>,
    metrics: ExecutionPlanMetricsSet,
    properties: Arc<PlanProperties>,
}

/// What a search by name gives.
#[derive(Debug)]
pub(super) struct Shown {
    /// Names and types.
    pub schema: SchemaRef,
    /// Of each, the column of the scan; the distance when `None`.
    pub columns: Vec<Option<usize>>,
}

impl KnnExec {
    /// A search for the `k` first rows in the order `sort`, over the columns of the scan.
    pub(super) fn sorted(search: KnnSearch, query: Query, k: usize, sort: PhysicalSortExpr) -> Self {
        let order = EquivalenceProperties::new_with_orderings(search.rows.scan.schema(), [[sort]]);
        Self::new(search, query, k, None, order)
    }

    /// A search for the `k` nearest rows. It names no order: its literal is long, and the planner would look at it often.
    pub(super) fn shown(search: KnnSearch, query: Query, k: usize, shown: Shown) -> Self {
        let order = EquivalenceProperties::new(Arc::clone(&shown.schema));
        Self::new(search, query, k, Some(Arc::new(shown)), order)
    }

    fn new(
        search: KnnSearch,
        query: Query,
        k: usize,
        shown: Option<Arc<Shown>>,
        order: EquivalenceProperties,
    ) -> Self {
        let properties = PlanProperties::new(
            order,
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        let metrics = ExecutionPlanMetricsSet::new();
        search.rows.count_in(&metrics);
        Self {
            search: Arc::new(search),
            query: Arc::new(query),
            k,
            shown,
            metrics,
            properties: Arc::new(properties),
        }
    }

    /// Rows found and what they were found in.
    async fn find(&self) -> Result<Finding<(u64, Option<f64>)>> {
        let work = match self.search.effort_of(&self.query) {
            Some(_) => Work::by_file(&self.search.rows),
            None => Work::new(&self.search.rows),
        };
        let work = Arc::new(work);
        let nearest = nearest_rows(&self.search, &work, &self.query, self.k, &self.metrics).await?;
        let found = nearest.into_rows(self.search.placement);
        self.measure(&work, &found).await?;
        Ok(Finding::new(work, found))
    }

    /// Measures the recall of what was found, when that is asked for.
    async fn measure(&self, work: &Work, found: &[(u64, Option<f64>)]) -> Result<()> {
        if self.search.effort_of(&self.query).is_none() || !self.search.is_measured(0, 1) {
            return Ok(());
        }
        let Some(query) = self.query.known()? else { return Ok(()) };
        let found = found.iter().filter_map(|(_, distance)| *distance);
        self.search.measure((&query, self.k), work, found, &self.metrics).await
    }

    /// The next rows of the result.
    fn gather(&self, work: &Work, found: &[(u64, Option<f64>)]) -> Result<RecordBatch> {
        let ids: Vec<u64> = found.iter().map(|(id, _)| *id).collect();
        let rows = &self.search.rows;
        let Some(shown) = &self.shown else { return rows.gather(work, &ids, &rows.all_columns()) };
        let stored: Vec<usize> = shown.columns.iter().flatten().copied().collect();
        let mut stored = rows.gather(work, &ids, &stored)?.columns().to_vec().into_iter();
        let distances: ArrayRef =
            Arc::new(found.iter().map(|(_, distance)| *distance).collect::<Float64Array>());
        let column = |of: &Option<usize>| match of {
            Some(_) => stored.next(),
            None => Some(Arc::clone(&distances)),
        };
        let columns = shown.columns.iter().filter_map(column).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(ids.len()));
        Ok(RecordBatch::try_new_with_options(self.schema(), columns, &options)?)
    }
}

/// What was found, and how much of it has been given.
pub(super) struct Finding<T> {
    work: Arc<Work>,
    found: Vec<T>,
    given: usize,
}

impl<T> Finding<T> {
    /// Rows found in `work`, in their order.
    pub(super) fn new(work: Arc<Work>, found: Vec<T>) -> Self {
        Self { work, found, given: 0 }
    }

    /// Makes a batch of the next rows; an empty one when nothing was found.
    pub(super) fn next<B>(&mut self, gather: impl FnOnce(&Work, &[T]) -> B) -> Option<B> {
        let left = self.found.get(self.given..).filter(|left| !left.is_empty() || self.given == 0)?;
        let batch = &left[..left.len().min(ROWS_PER_BATCH)];
        self.given += batch.len().max(1);
        Some(gather(&self.work, batch))
    }
}

/// The `k` nearest rows, found on as many tasks as the scan has partitions.
pub(super) async fn nearest_rows(
    search: &Arc<KnnSearch>,
    work: &Arc<Work>,
    query: &Query,
    k: usize,
    metrics: &ExecutionPlanMetricsSet,
) -> Result<Nearest> {
    let effort = search.effort_of(query);
    let query = query.known()?;
    let counter = |name| MetricBuilder::new(metrics).global_counter(name);
    let compared = counter("rows_compared");
    let coded = query.as_ref().and_then(|query| search.coded(query, k, effort, counter));
    let query = Arc::new((query, coded));
    let task = || {
        let (search, query) = (Arc::clone(search), Arc::clone(&query));
        search_all(search, query, Arc::clone(work), k, compared.clone())
    };
    let mut nearest = Nearest::new(k);
    let tasks = search.rows.scan.partitions_len().min(work.shares().len());
    for found in on_all(tasks, task).await? {
        nearest.merge(found);
    }
    Ok(nearest)
}

/// One task: searches until nothing is left, letting others run in between.
async fn search_all(
    search: Arc<KnnSearch>,
    query: Arc<(Option<VectorQuery>, Option<Coded>)>,
    work: Arc<Work>,
    k: usize,
    compared: Count,
) -> Result<Nearest> {
    let mut nearest = Nearest::new(k);
    while let Some(units) = work.take() {
        let (query, coded) = (query.0.as_ref(), query.1.as_ref());
        compared.add(search.search_share(query, coded, (&work, units), &mut nearest)?);
        if work.is_left() {
            tokio::task::yield_now().await;
        }
    }
    Ok(nearest)
}

impl DisplayAs for KnnExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let search = &self.search;
        let (table, metric) = (search.rows.scan.table(), self.query.metric);
        let schema = search.rows.scan.schema();
        let column = schema.field(search.vector).name();
        if matches!(format, DisplayFormatType::TreeRender) {
            return writeln!(f, "table={table}\ncolumn={column}\nmetric={metric}\nk={}", Most(self.k));
        }
        write!(f, "KnnExec: table={table}, column={column}, metric={metric}, k={}", Most(self.k))?;
        if let Some(within) = &search.within {
            write!(f, ", within=[{within}]")?;
        }
        write!(
            f,
            ", {}{}, batches={}/{}",
            strategy(search.effort_of(&self.query)),
            search.rows.conditions(),
            search.rows.scan.units().count(),
            search.rows.scan.batches_total()
        )
    }
}

impl ExecutionPlan for KnnExec {
    fn name(&self) -> &'static str {
        "KnnExec"
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
        let roots = std::iter::once(&self.query.vector).chain(self.search.rows.expressions());
        apply_expression_roots(roots, f)
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let rows = futures::stream::try_unfold((self.clone(), None), move |(search, finding)| {
            let baseline = baseline.clone();
            async move {
                let time = baseline.elapsed_compute().clone();
                let _timer = time.timer();
                let mut finding = match finding {
                    Some(finding) => finding,
                    None => search.find().await?,
                };
                let batch = finding.next(|work, found| search.gather(work, found)).transpose()?;
                let batch = batch.record_output(&baseline);
                Ok(batch.map(|batch| (batch, (search, Some(finding)))))
            }
        });
        Ok(Box::pin(cooperative(RecordBatchStreamAdapter::new(self.schema(), rows.boxed()))))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn statistics_from_inputs(&self, _: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.schema());
        statistics.num_rows = Precision::Inexact(self.k);
        Ok(Arc::new(statistics))
    }

    fn supports_limit_pushdown(&self) -> bool {
        false
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        let k = limit.map_or(self.k, |limit| limit.min(self.k));
        Some(Arc::new(Self { k, ..self.clone() }))
    }

    fn fetch(&self) -> Option<usize> {
        Some(self.k)
    }
}

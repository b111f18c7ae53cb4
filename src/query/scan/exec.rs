//! `ScanExec`: reads the planned batches, one stream per partition.
//!
//! Decoding happens inside `poll`, on the query's own threads, and yields to DataFusion's budget.
//! Filters that grow during the query (top-k bounds, join keys) are accepted for pruning only: the
//! node that made them still filters rows. No output ordering is promised: parts overlap in keys.

use std::fmt;
use std::sync::Arc;

use datafusion::common::Statistics;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::DynamicFilterTracking;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::coop::cooperative;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation, PushedDown,
};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};

use super::plan::ScanPlan;
use super::statistics::statistics;
use super::stream::ScanStream;

/// Reads a table.
#[derive(Clone, Debug)]
pub(crate) struct ScanExec {
    plan: Arc<ScanPlan>,
    /// Filters that change while the query runs.
    dynamic: Vec<Arc<dyn PhysicalExpr>>,
    /// Rows that are enough, per partition.
    fetch: Option<usize>,
    metrics: ExecutionPlanMetricsSet,
    properties: Arc<PlanProperties>,
}

impl ScanExec {
    pub(super) fn new(plan: ScanPlan, fetch: Option<usize>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&plan.columns.schema)),
            Partitioning::UnknownPartitioning(plan.partitions.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        let metrics = ExecutionPlanMetricsSet::new();
        let kept: usize = plan.partitions.iter().map(Vec::len).sum();
        MetricBuilder::new(&metrics).global_counter("batches_total").add(plan.batches_total);
        MetricBuilder::new(&metrics).global_counter("batches_pruned").add(plan.batches_total - kept);
        plan.count_files(&metrics);
        Self { plan: Arc::new(plan), dynamic: vec![], fetch, metrics, properties: Arc::new(properties) }
    }

    /// What is read.
    pub(crate) fn plan(&self) -> &Arc<ScanPlan> {
        &self.plan
    }
}

impl DisplayAs for ScanExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> =
            self.plan.columns.schema.fields().iter().map(|field| field.name().as_str()).collect();
        let kept: usize = self.plan.partitions.iter().map(Vec::len).sum();
        let table = &self.plan.view.def().name;
        if matches!(format, DisplayFormatType::TreeRender) {
            return writeln!(f, "table={table}\nbatches={kept}/{}", self.plan.batches_total);
        }
        write!(f, "ScanExec: table={table}, columns=[{}]", names.join(", "))?;
        write!(f, ", batches={kept}/{}", self.plan.batches_total)?;
        if let Some(fetch) = self.fetch {
            write!(f, ", fetch={fetch}")?;
        }
        if !self.dynamic.is_empty() {
            let filters: Vec<String> = self.dynamic.iter().map(ToString::to_string).collect();
            write!(f, ", prune_by=[{}]", filters.join(", "))?;
        }
        Ok(())
    }
}

impl ExecutionPlan for ScanExec {
    fn name(&self) -> &'static str {
        "ScanExec"
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
        datafusion::physical_plan::execution_plan::apply_expression_roots(&self.dynamic, f)
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let stream = ScanStream::new(&self.plan, partition, &self.dynamic, self.fetch, &self.metrics);
        Ok(Box::pin(cooperative(stream)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn statistics_from_inputs(
        &self,
        _: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        Ok(Arc::new(statistics(&self.plan, args.partition(), self.fetch)))
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        Some(Arc::new(Self { fetch: limit, ..self.clone() }))
    }

    fn fetch(&self) -> Option<usize> {
        self.fetch
    }

    fn handle_child_pushdown_result(
        &self,
        _: FilterPushdownPhase,
        pushed: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let verdicts = vec![PushedDown::No; pushed.parent_filters.len()];
        let propagation = FilterPushdownPropagation::with_parent_pushdown_result(verdicts);
        let filters = pushed.parent_filters.into_iter().map(|parent| parent.filter);
        let dynamic: Vec<_> = filters
            .filter(|filter| DynamicFilterTracking::classify(filter).contains_dynamic_filter())
            .collect();
        if dynamic.is_empty() {
            return Ok(propagation);
        }
        let mut updated = self.clone();
        updated.dynamic.extend(dynamic);
        Ok(propagation.with_updated_node(Arc::new(updated)))
    }
}

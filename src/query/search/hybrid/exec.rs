//! `HybridExec`: the plan node of a search by words and by distance.
//!
//! A leaf like the nodes of both: it gives one partition of at most `k` rows, best first, with the columns of the scan, what
//! each search said of a row, and the score.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, RecordBatch};
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::col;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, EmissionType, SchedulingType, apply_expression_roots,
};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet, RecordOutput,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};

use super::fuse::{Fused, Weights};
use crate::query::search::exec::nearest_rows;
use crate::query::search::knn::{KnnSearch, Query};
use crate::query::search::nearest::{Nulls, Placement};
use crate::query::search::rows::{SearchedRows, Work};
use crate::query::search::text::{Wording, best_rows};

/// What both searches look for.
#[derive(Debug)]
pub(super) struct Searches {
    pub wording: Wording,
    /// The column of vectors, among those of the scan.
    pub vector: usize,
    pub query: Query,
    pub weights: Weights,
    /// Rows that each search gives.
    pub depth: usize,
}

/// Finds the `k` rows that rank best.
#[derive(Clone, Debug)]
pub(super) struct HybridExec {
    rows: Arc<SearchedRows>,
    near: Arc<KnnSearch>,
    searches: Arc<Searches>,
    k: usize,
    metrics: ExecutionPlanMetricsSet,
    properties: Arc<PlanProperties>,
}

impl HybridExec {
    /// Searches over the rows of a scan; `schema` is the scan's with what is said of a row at the end, the score last.
    pub(super) fn new(rows: SearchedRows, searches: Searches, k: usize, schema: SchemaRef) -> Result<Self> {
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
        let placement = Placement { nulls: Nulls::Excluded, nan_first: false };
        let near = KnnSearch { rows: rows.clone(), vector: searches.vector, placement };
        Ok(Self {
            rows: Arc::new(rows),
            near: Arc::new(near),
            searches: Arc::new(searches),
            k,
            metrics: ExecutionPlanMetricsSet::new(),
            properties: Arc::new(properties),
        })
    }

    async fn run(self) -> Result<RecordBatch> {
        let work = Arc::new(Work::new(&self.rows));
        let Searches { wording, query, weights, depth, .. } = &*self.searches;
        let scored = MetricBuilder::new(&self.metrics).global_counter("rows_scored");
        let texts = best_rows(&self.rows, &work, wording, *depth, &scored).await?;
        let near = nearest_rows(&self.near, &work, query, *depth, &self.metrics).await?.into_near();
        let fused = weights.fuse(&texts, &near, self.k);
        let ids: Vec<u64> = fused.iter().map(|row| row.id).collect();
        let rows = self.rows.gather(&work, &ids)?;
        let of_rows = |value: fn(&Fused) -> Option<f64>| -> ArrayRef {
            Arc::new(fused.iter().map(value).collect::<Float64Array>())
        };
        let said = [of_rows(|row| row.text), of_rows(|row| row.distance), of_rows(|row| Some(row.score))];
        Ok(RecordBatch::try_new(self.schema(), [rows.columns(), &said].concat())?)
    }
}

impl DisplayAs for HybridExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scan, Searches { wording, vector, query, weights, depth }) = (&self.rows.scan, &*self.searches);
        let schema = scan.schema();
        let (text, vector) = (schema.field(wording.column).name(), schema.field(*vector).name());
        write!(f, "HybridExec: table={}, text={text}, query={:?}, ", scan.table(), wording.text)?;
        write!(f, "vector={vector}, metric={}, fusion={}, ", query.metric, weights.fusion)?;
        write!(f, "depth={depth}, k={}", self.k)?;
        if let Some(filter) = &self.rows.filter {
            write!(f, ", filter={filter}")?;
        }
        write!(f, ", batches={}/{}", scan.units().count(), scan.batches_total())
    }
}

impl ExecutionPlan for HybridExec {
    fn name(&self) -> &'static str {
        "HybridExec"
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

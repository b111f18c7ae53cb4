//! Functions that compute rows from a whole column: the provider and the plan node that they share.
//!
//! The node is a leaf: it reads the table itself and gives one partition. Conditions of the query around it are on the rows that it
//! gives, not on those that it reads.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::StreamExt;
use futures::stream::BoxStream;

use super::rows::SearchedRows;
use super::tables::{needed_columns, projected, searched_rows};

/// Rows as they are computed.
pub(super) type Batches = BoxStream<'static, Result<RecordBatch>>;

/// What one call computes.
pub(super) trait Computation: fmt::Debug + Send + Sync {
    /// Name of the plan node.
    fn node(&self) -> &'static str;

    /// What is computed, for EXPLAIN.
    fn describe(&self) -> String;

    /// The columns of the table that it takes.
    fn reads(&self) -> Vec<&str>;

    /// The rows, with the columns that the table of the call has.
    fn batches(
        self: Arc<Self>,
        rows: Arc<SearchedRows>,
        threads: usize,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Batches;
}

/// The rows of one call.
#[derive(Debug)]
pub(super) struct ComputedTable {
    table: Arc<dyn TableProvider>,
    computation: Arc<dyn Computation>,
    schema: SchemaRef,
}

impl ComputedTable {
    /// What `computation` makes of a table of this database: rows of `schema`.
    pub(super) fn new(
        table: Arc<dyn TableProvider>,
        computation: Arc<dyn Computation>,
        schema: SchemaRef,
    ) -> Self {
        Self { table, computation, schema }
    }
}

#[async_trait]
impl TableProvider for ComputedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = needed_columns(&self.table.schema(), Some(&vec![]), &[], &self.computation.reads())?;
        let rows = searched_rows(state, &*self.table, &columns, &[]).await?;
        let node = ComputedExec::new(rows, Arc::clone(&self.computation), Arc::clone(&self.schema));
        projected(Arc::new(node), &self.schema, projection)
    }
}

/// Computes the rows.
#[derive(Clone, Debug)]
struct ComputedExec {
    rows: Arc<SearchedRows>,
    computation: Arc<dyn Computation>,
    metrics: ExecutionPlanMetricsSet,
    properties: Arc<PlanProperties>,
}

impl ComputedExec {
    fn new(rows: SearchedRows, computation: Arc<dyn Computation>, schema: SchemaRef) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        let metrics = ExecutionPlanMetricsSet::new();
        Self { rows: Arc::new(rows), computation, metrics, properties: Arc::new(properties) }
    }
}

impl DisplayAs for ComputedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scan, computation) = (&self.rows.scan, &self.computation);
        write!(f, "{}: table={}, {}", computation.node(), scan.table(), computation.describe())?;
        write!(f, ", batches={}/{}", scan.units().count(), scan.batches_total())
    }
}

impl ExecutionPlan for ComputedExec {
    fn name(&self) -> &str {
        self.computation.node()
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
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let threads = context.session_config().target_partitions();
        let computation = Arc::clone(&self.computation);
        let batches = computation.batches(Arc::clone(&self.rows), threads, &self.metrics);
        let batches = batches.map(move |batch| batch.record_output(&baseline));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

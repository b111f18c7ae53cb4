//! Functions that give the `k` best rows of a table by a score: the provider and the plan node that they share.
//!
//! The node is a leaf: it reads the table itself and gives one partition of at most `k` rows, best first, with the columns of
//! the scan and those that the function adds, the score last. Conditions of the query around it hold before the rows are
//! chosen, unless they hold a subquery.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::expressions::col;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, EmissionType, SchedulingType, apply_expression_roots,
};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};

use super::rows::{SearchedRows, Work};
use super::tables::{check_free, needed_columns, projected, pushed_down, searched_rows};

/// Name of the column with the score.
pub(super) const SCORE: &str = "_score";

/// What one call asks for, before it is known which columns are read.
pub(super) trait Ask: fmt::Debug + Send + Sync {
    /// Names of the columns that are searched.
    fn searched(&self) -> Vec<&str>;

    /// The columns that the result adds to the table's, [`SCORE`] last.
    fn added(&self) -> Vec<Field>;

    /// The same over the columns of a scan, for `k` rows.
    ///
    /// # Errors
    /// When a column is not among them.
    fn within(&self, scan: &Schema, k: usize) -> Result<Arc<dyn Ranking>>;
}

/// A way to find the best rows.
#[async_trait]
pub(super) trait Ranking: fmt::Debug + Send + Sync {
    /// Name of the plan node.
    fn node(&self) -> &'static str;

    /// What is looked for, for EXPLAIN; `scan` are the columns.
    fn describe(&self, scan: &Schema) -> String;

    /// The numbers of the `k` best rows, best first, and the columns that the result adds.
    ///
    /// # Errors
    /// When rows cannot be read.
    async fn best(
        &self,
        rows: &Arc<SearchedRows>,
        work: &Arc<Work>,
        k: usize,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<(Vec<u64>, Vec<ArrayRef>)>;
}

/// The rows that one call finds.
#[derive(Debug)]
pub(super) struct RankedTable {
    table: Arc<dyn TableProvider>,
    ask: Box<dyn Ask>,
    k: usize,
    schema: SchemaRef,
}

impl RankedTable {
    /// The `k` best rows of a table of this database.
    ///
    /// # Errors
    /// When the table has a column of a name that the result adds.
    pub(super) fn new(
        function: &str,
        (name, table): (&str, Arc<dyn TableProvider>),
        ask: Box<dyn Ask>,
        k: usize,
    ) -> Result<Self> {
        let added = ask.added();
        let names: Vec<&str> = added.iter().map(|field| field.name().as_str()).collect();
        check_free(function, name, &table.schema(), &names)?;
        let schema = with_added(&table.schema(), added);
        Ok(Self { table, ask, k, schema })
    }
}

fn with_added(schema: &Schema, added: Vec<Field>) -> SchemaRef {
    let mut fields = schema.fields().to_vec();
    fields.extend(added.into_iter().map(Arc::new));
    Arc::new(Schema::new(fields))
}

#[async_trait]
impl TableProvider for RankedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let added = self.ask.added();
        let names: Vec<&str> = added.iter().map(|field| field.name().as_str()).collect();
        Ok(pushed_down(filters, &names))
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = needed_columns(&self.table.schema(), projection, filters, &self.ask.searched())?;
        let rows = searched_rows(state, &*self.table, &columns, filters).await?;
        let scanned = rows.scan.schema();
        let ranking = self.ask.within(&scanned, self.k)?;
        let k = limit.map_or(self.k, |limit| limit.min(self.k));
        let node = RankedExec::new(rows, ranking, k, with_added(&scanned, self.ask.added()))?;
        projected(Arc::new(node), &self.schema, projection)
    }
}

/// Finds the `k` best rows.
#[derive(Clone, Debug)]
struct RankedExec {
    rows: Arc<SearchedRows>,
    ranking: Arc<dyn Ranking>,
    k: usize,
    metrics: ExecutionPlanMetricsSet,
    properties: Arc<PlanProperties>,
}

impl RankedExec {
    /// `schema` is the scan's with the added columns.
    fn new(rows: SearchedRows, ranking: Arc<dyn Ranking>, k: usize, schema: SchemaRef) -> Result<Self> {
        let options = SortOptions { descending: true, nulls_first: false };
        let best_first = PhysicalSortExpr::new(col(SCORE, &schema)?, options);
        let properties = PlanProperties::new(
            EquivalenceProperties::new_with_orderings(schema, [[best_first]]),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        let metrics = ExecutionPlanMetricsSet::new();
        Ok(Self { rows: Arc::new(rows), ranking, k, metrics, properties: Arc::new(properties) })
    }

    async fn run(self) -> Result<RecordBatch> {
        // Where an index is not there yet, making it takes long, and a caller that began on its own thread could not give up.
        tokio::task::yield_now().await;
        let work = Arc::new(Work::new(&self.rows));
        let (ids, added) = self.ranking.best(&self.rows, &work, self.k, &self.metrics).await?;
        let rows = self.rows.gather(&work, &ids, &self.rows.all_columns())?;
        Ok(RecordBatch::try_new(self.schema(), [rows.columns(), &added].concat())?)
    }
}

impl DisplayAs for RankedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scan, node) = (&self.rows.scan, self.ranking.node());
        write!(f, "{node}: table={}, {}, k={}", scan.table(), self.ranking.describe(&scan.schema()), self.k)?;
        write!(f, "{}, batches={}/{}", self.rows.conditions(), scan.units().count(), scan.batches_total())
    }
}

impl ExecutionPlan for RankedExec {
    fn name(&self) -> &str {
        self.ranking.node()
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
        apply_expression_roots(self.rows.expressions(), f)
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

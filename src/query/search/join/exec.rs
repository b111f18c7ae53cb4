//! `NearestJoinExec`: the plan node of a nearest join.
//!
//! Its left input is read batch by batch, in its order; with each row come at most `k` of the right side, nearest first.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, UInt64Array};
use datafusion::arrow::compute::{take, take_record_batch};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::internal_err;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::ScalarUDF;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, apply_expression_roots};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, InputDistributionRequirements, Partitioning,
    PlanProperties,
};
use futures::{StreamExt, TryStreamExt};
use tokio::sync::OnceCell;

use super::side::{Rows, Side};
use crate::query::search::each::{Found, QUERIES_PER_BATCH, Questions};

/// What is wanted with each row of the left side.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Its vector.
    pub vector: Arc<dyn PhysicalExpr>,
    /// The distance, which also says how many of the nearest must be found.
    pub function: ScalarUDF,
    pub k: usize,
    /// Whether a row with which nothing comes is kept.
    pub outer: bool,
}

/// Joins rows with those nearest to them.
#[derive(Clone, Debug)]
pub(super) struct NearestJoinExec {
    left: Arc<dyn ExecutionPlan>,
    side: Side,
    wanted: Arc<Wanted>,
    metrics: ExecutionPlanMetricsSet,
    properties: Arc<PlanProperties>,
}

impl NearestJoinExec {
    /// A join whose columns are those of both sides.
    pub(super) fn new(left: Arc<dyn ExecutionPlan>, side: Side, wanted: Wanted, schema: SchemaRef) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let metrics = ExecutionPlanMetricsSet::new();
        Self { left, side, wanted: Arc::new(wanted), metrics, properties: Arc::new(properties) }
    }

    async fn joined(&self, left: &RecordBatch, rows: &Rows, threads: usize) -> Result<RecordBatch> {
        let Wanted { vector, function, k, .. } = &*self.wanted;
        let vectors = vector.evaluate(left)?.into_array(left.num_rows())?;
        let found = rows.nearest(Questions::new(function, &vectors, *k)?, threads, &self.metrics).await?;
        let ids: Vec<u64> = found.iter().flat_map(|(_, near)| near.iter().map(|row| row.id)).collect();
        let (lefts, rights) = self.pairs(left.num_rows(), &found);
        let left = take_record_batch(left, &lefts)?;
        // Column by column: those of an outer join may be null where the table's are not.
        let right = rows.gather(&ids)?;
        let right = right.columns().iter().map(|column| take(column, &rights, None));
        let columns = left.columns().iter().cloned().map(Ok).chain(right);
        Ok(RecordBatch::try_new(self.schema(), columns.collect::<Result<_, _>>()?)?)
    }

    /// Rows of the left side, and with which of the rows found each comes.
    fn pairs(&self, count: usize, found: &Found) -> (UInt64Array, UInt64Array) {
        let (mut lefts, mut rights) = (vec![], vec![]);
        let mut found = found.iter().peekable();
        let mut next = 0;
        for row in 0..count {
            let near = found.next_if(|(query, _)| *query == row).map_or(0, |(_, near)| near.len() as u64);
            lefts.extend((0..near).map(|_| row as u64));
            rights.extend((next..next + near).map(Some));
            if near == 0 && self.wanted.outer {
                lefts.push(row as u64);
                rights.push(None);
            }
            next += near;
        }
        (lefts.into(), rights.into())
    }
}

/// Parts of a batch that are joined at once.
fn slices(batch: RecordBatch) -> Vec<Result<RecordBatch>> {
    let rows = batch.num_rows();
    let slice = |first| Ok(batch.slice(first, QUERIES_PER_BATCH.min(rows - first)));
    (0..rows).step_by(QUERIES_PER_BATCH).map(slice).collect()
}

impl DisplayAs for NearestJoinExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Wanted { vector, function, k, outer } = &*self.wanted;
        let kind = if *outer { "Left" } else { "Inner" };
        write!(f, "NearestJoinExec: {kind}, k={k}, by={}({vector}, ", function.name())?;
        match &self.side {
            Side::Table(search, _) => {
                let scan = &search.rows.scan;
                let schema = scan.schema();
                write!(f, "{}.{})", scan.table(), schema.field(search.vector).name())?;
                write!(f, "{}", search.rows.conditions())
            }
            Side::Plan(plan, vector) => write!(f, "{})", plan.schema().field(*vector).name()),
        }
    }
}

impl ExecutionPlan for NearestJoinExec {
    fn name(&self) -> &'static str {
        "NearestJoinExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        match &self.side {
            Side::Table(..) => vec![&self.left],
            Side::Plan(plan, _) => vec![&self.left, plan],
        }
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![Distribution::SinglePartition; self.children().len()])
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false; self.children().len()]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let side = match (&self.side, children.len()) {
            (side @ Side::Table(..), 1) => side.clone(),
            (Side::Plan(_, vector), 2) => Side::Plan(children.swap_remove(1), *vector),
            (_, count) => return internal_err!("a nearest join with {count} children"),
        };
        Ok(Arc::new(Self { left: children.swap_remove(0), side, ..(*self).clone() }))
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        let conditions = match &self.side {
            Side::Table(search, _) => Some(search.rows.expressions()),
            Side::Plan(..) => None,
        };
        let roots = std::iter::once(&self.wanted.vector).chain(conditions.into_iter().flatten());
        apply_expression_roots(roots, f)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let left = self.left.execute(partition, Arc::clone(&context))?;
        let slices = left.map_ok(|batch| futures::stream::iter(slices(batch))).try_flatten();
        let (join, rows) = (self.clone(), Arc::new(OnceCell::new()));
        let joined = slices.and_then(move |slice| {
            let (join, rows) = (join.clone(), Arc::clone(&rows));
            let (context, baseline) = (Arc::clone(&context), baseline.clone());
            async move {
                let rows = rows.get_or_try_init(|| join.side.rows(&context)).await?;
                let time = baseline.elapsed_compute().clone();
                let _timer = time.timer();
                let threads = context.session_config().target_partitions();
                join.joined(&slice, rows, threads).await.record_output(&baseline)
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), joined.boxed())))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

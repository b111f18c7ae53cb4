//! `RangeExec`: the plan node of a filter by distance over a scan.
//!
//! A leaf with the partitions of the scan: each reads its own units, and of those only the rows that satisfy all conditions, in the
//! order of the scan. Columns that only conditions need are not given.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{BooleanArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::filter;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Statistics;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::coop::cooperative;
use datafusion::physical_plan::execution_plan::{
    Boundedness, EmissionType, SchedulingType, apply_expression_roots,
};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput,
};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};

use super::Asked;
use crate::query::scan::Unit;
use crate::query::search::rows::SearchedRows;

/// Of rows under a condition, one in so many is expected to satisfy it: what a plain filter assumes.
const EXPECTED: usize = 5;

/// Gives the rows of a scan that satisfy conditions on distances, and others.
#[derive(Clone, Debug)]
pub(in super::super) struct RangeExec {
    rows: Arc<SearchedRows>,
    /// Of each column of the result, that of the scan.
    columns: Vec<usize>,
    metrics: ExecutionPlanMetricsSet,
    properties: Arc<PlanProperties>,
}

impl RangeExec {
    /// All columns of the scan.
    pub(in super::super) fn new(rows: SearchedRows) -> Self {
        let metrics = ExecutionPlanMetricsSet::new();
        rows.count_in(&metrics);
        let (columns, schema) = (rows.all_columns(), rows.scan.schema());
        let properties = properties(&rows, schema);
        Self { rows: Arc::new(rows), columns, metrics, properties }
    }

    /// The rows of a unit that satisfy the conditions.
    fn read(&self, asked: &[Asked], unit: Unit) -> Result<RecordBatch> {
        let selected = self.rows.selected(unit, asked)?;
        let found = selected.as_ref().map(|selected| selected.count_set_bits());
        if found == Some(0) {
            return Ok(RecordBatch::new_empty(self.schema()));
        }
        let (batch, _) = self.rows.scan.read_unmasked(unit, &self.columns)?;
        let options = RecordBatchOptions::new().with_row_count(Some(found.unwrap_or(batch.num_rows())));
        let columns = match selected {
            Some(selected) => {
                let selected = BooleanArray::new(selected, None);
                batch.columns().iter().map(|column| filter(column, &selected)).collect::<Result<_, _>>()?
            }
            None => batch.columns().to_vec(),
        };
        Ok(RecordBatch::try_new_with_options(self.schema(), columns, &options)?)
    }
}

fn properties(rows: &SearchedRows, schema: SchemaRef) -> Arc<PlanProperties> {
    let properties = PlanProperties::new(
        EquivalenceProperties::new(schema),
        Partitioning::UnknownPartitioning(rows.scan.partitions_len()),
        EmissionType::Incremental,
        Boundedness::Bounded,
    );
    Arc::new(properties.with_scheduling_type(SchedulingType::Cooperative))
}

impl DisplayAs for RangeExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scan, schema) = (&self.rows.scan, self.schema());
        if matches!(format, DisplayFormatType::TreeRender) {
            return writeln!(f, "table={}{}", scan.table(), self.rows.conditions());
        }
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        write!(f, "RangeExec: table={}, columns=[{}], strategy=exact", scan.table(), names.join(", "))?;
        write!(f, "{}, batches={}/{}", self.rows.conditions(), scan.units().count(), scan.batches_total())
    }
}

impl ExecutionPlan for RangeExec {
    fn name(&self) -> &'static str {
        "RangeExec"
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
        let (node, units) = (self.clone(), self.rows.scan.units_of(partition).to_vec());
        let next = move |(asked, mut units): (Option<Vec<Asked>>, std::vec::IntoIter<Unit>)| {
            let read = || -> Result<_> {
                let time = baseline.elapsed_compute().clone();
                let _timer = time.timer();
                let asked = asked.map_or_else(|| node.rows.asked(), Ok)?;
                let batch = units.next().map(|unit| node.read(&asked, unit)).transpose()?;
                Ok(batch.record_output(&baseline).map(|batch| (batch, (Some(asked), units))))
            };
            std::future::ready(read())
        };
        let batches = futures::stream::try_unfold((None, units.into_iter()), next);
        Ok(Box::pin(cooperative(RecordBatchStreamAdapter::new(self.schema(), batches))))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn statistics_from_inputs(
        &self,
        _: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.schema());
        let rows = self.rows.scan.rows_planned(args.partition());
        statistics.num_rows = Precision::Inexact(rows.div_ceil(EXPECTED));
        Ok(Arc::new(statistics))
    }

    fn try_swapping_with_projection(
        &self,
        projection: &ProjectionExec,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let column =
            |expr: &Arc<dyn PhysicalExpr>| Some(self.columns[expr.downcast_ref::<Column>()?.index()]);
        let columns: Option<Vec<usize>> =
            projection.projection_expr().iter().map(|wanted| column(&wanted.expr)).collect();
        Ok(columns.map(|columns| -> Arc<dyn ExecutionPlan> {
            let properties = properties(&self.rows, projection.schema());
            Arc::new(Self { columns, properties, ..self.clone() })
        }))
    }
}

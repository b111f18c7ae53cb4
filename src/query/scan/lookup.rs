//! `LookupExec`: rows found by key instead of by scanning.
//!
//! Used when the filters pin every key column to literals. A key costs one probe per memtable and
//! file; the filters are still applied above, so a lookup may return a row that they refuse.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Statistics;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput,
};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use datafusion::scalar::ScalarValue;
use trilith_engine::TableView;

use super::plan::{Columns, Request};
use super::pushdown;
use crate::error::external;

/// Finds rows by key.
#[derive(Clone, Debug)]
pub(crate) struct LookupExec {
    view: TableView,
    /// One array per key column, one row per key.
    keys: Vec<ArrayRef>,
    columns: Columns,
    metrics: ExecutionPlanMetricsSet,
    properties: Arc<PlanProperties>,
}

impl LookupExec {
    /// A lookup for the request; `None` when its filters do not pin the key.
    pub(super) fn try_new(request: &Request<'_>, columns: &Columns) -> Result<Option<Self>> {
        let Some(keys) = pushdown::keys(request.view.def(), request.filters) else { return Ok(None) };
        let Some(keys) = key_arrays(request.view, keys)? else { return Ok(None) };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&columns.schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        Ok(Some(Self {
            view: request.view.clone(),
            keys,
            columns: columns.clone(),
            metrics: ExecutionPlanMetricsSet::new(),
            properties: Arc::new(properties),
        }))
    }

    fn num_keys(&self) -> usize {
        self.keys.first().map_or(0, |column| column.len())
    }

    fn find(&self) -> Result<RecordBatch> {
        if self.num_keys() == 0 {
            return Ok(RecordBatch::new_empty(Arc::clone(&self.columns.schema)));
        }
        let (rows, _) = self.view.get_many(&self.keys, Some(&self.columns.table)).map_err(external)?;
        Ok(rows)
    }
}

/// One array per key column; `None` when a value is not of its column's type or compares otherwise
/// than its bytes do.
fn key_arrays(view: &TableView, keys: Vec<Vec<ScalarValue>>) -> Result<Option<Vec<ArrayRef>>> {
    let schema = view.schema();
    let types: Vec<&DataType> =
        view.def().key_columns().iter().map(|&i| schema.field(i).data_type()).collect();
    if types.iter().any(|data_type| data_type.is_floating()) {
        return Ok(None);
    }
    let mut seen = HashSet::new();
    let keys: Vec<Vec<ScalarValue>> = keys
        .into_iter()
        .filter(|key| !key.iter().any(ScalarValue::is_null))
        .filter(|key| seen.insert(key.clone()))
        .collect();
    if keys
        .iter()
        .flat_map(|key| key.iter().zip(&types))
        .any(|(value, data_type)| value.data_type() != **data_type)
    {
        return Ok(None);
    }
    let column = |at: usize| match keys.is_empty() {
        true => Ok(datafusion::arrow::array::new_empty_array(types[at])),
        false => ScalarValue::iter_to_array(keys.iter().map(|key| key[at].clone())),
    };
    (0..types.len()).map(column).collect::<Result<Vec<_>>>().map(Some)
}

impl DisplayAs for LookupExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> =
            self.columns.schema.fields().iter().map(|field| field.name().as_str()).collect();
        let table = &self.view.def().name;
        write!(f, "LookupExec: table={table}, columns=[{}], keys={}", names.join(", "), self.num_keys())
    }
}

impl ExecutionPlan for LookupExec {
    fn name(&self) -> &'static str {
        "LookupExec"
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

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let lookup = self.clone();
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let rows = futures::stream::once(async move {
            let time = baseline.elapsed_compute().clone();
            let _timer = time.timer();
            lookup.find().record_output(&baseline)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.columns.schema), rows)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn statistics_from_inputs(&self, _: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.columns.schema);
        statistics.num_rows = Precision::Inexact(self.num_keys());
        Ok(Arc::new(statistics))
    }
}

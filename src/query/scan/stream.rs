//! The stream of one partition of a scan: reads batch after batch, skipping those that filters made
//! during the query rule out.
//!
//! Ends for good after an error.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::execution::RecordBatchStream;
use datafusion::physical_expr::{PhysicalExpr, conjunction};
use datafusion::physical_expr_common::physical_expr::snapshot_generation;
use datafusion::physical_plan::metrics::{BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder};
use futures::Stream;
use trilith_engine::format::size::batch_bytes;

use super::plan::{ScanPlan, Unit};
use super::prune;
use crate::error::external;

/// Reads the units of one partition.
pub(super) struct ScanStream {
    plan: Arc<ScanPlan>,
    partition: usize,
    next: usize,
    /// Rows still wanted.
    remaining: Option<usize>,
    dynamic: Option<DynamicPruning>,
    baseline: BaselineMetrics,
    pruned: Count,
    bytes: Count,
}

impl ScanStream {
    pub(super) fn new(
        plan: &Arc<ScanPlan>,
        partition: usize,
        dynamic: &[Arc<dyn PhysicalExpr>],
        fetch: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Self {
        let filter = (!dynamic.is_empty()).then(|| conjunction(dynamic.iter().cloned()));
        Self {
            plan: Arc::clone(plan),
            partition,
            next: 0,
            remaining: fetch,
            dynamic: filter.map(DynamicPruning::new),
            baseline: BaselineMetrics::new(metrics, partition),
            pruned: MetricBuilder::new(metrics).counter("batches_pruned", partition),
            bytes: MetricBuilder::new(metrics).counter("bytes_read", partition),
        }
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        while self.remaining != Some(0) {
            let Some(&unit) = self.plan.partitions[self.partition].get(self.next) else { break };
            self.next += 1;
            if let Some(dynamic) = &mut self.dynamic
                && !dynamic.keeps(&self.plan, unit)
            {
                self.pruned.add(1);
                continue;
            }
            let batch = read(&self.plan, unit)?;
            if batch.num_rows() > 0 {
                return Ok(Some(self.trim(batch)));
            }
        }
        Ok(None)
    }

    fn trim(&mut self, batch: RecordBatch) -> RecordBatch {
        let rows = self.remaining.map_or(batch.num_rows(), |left| left.min(batch.num_rows()));
        self.remaining = self.remaining.map(|left| left - rows);
        let batch = if rows < batch.num_rows() { batch.slice(0, rows) } else { batch };
        self.bytes.add(batch_bytes(&batch));
        batch
    }

    fn stop(&mut self) {
        self.remaining = Some(0);
    }
}

fn read(plan: &ScanPlan, unit: Unit) -> Result<RecordBatch> {
    let columns = &plan.columns;
    let batch = plan.parts[unit.part].read(unit.batch, &columns.table, columns.row_id).map_err(external)?;
    Ok(match &columns.order {
        Some(order) => batch.project(order)?,
        None => batch,
    })
}

impl Stream for ScanStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let time = self.baseline.elapsed_compute().clone();
        let timer = time.timer();
        let item = self.next_batch().transpose();
        timer.done();
        if matches!(item, Some(Err(_))) {
            self.stop();
        }
        self.baseline.record_poll(Poll::Ready(item))
    }
}

impl RecordBatchStream for ScanStream {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.plan.columns.schema)
    }
}

/// Pruning by a filter that changes: asked again for each part and each time the filter moved.
struct DynamicPruning {
    filter: Arc<dyn PhysicalExpr>,
    generation: u64,
    part: Option<usize>,
    keep: Option<Vec<bool>>,
}

impl DynamicPruning {
    fn new(filter: Arc<dyn PhysicalExpr>) -> Self {
        Self { filter, generation: 0, part: None, keep: None }
    }

    fn keeps(&mut self, plan: &ScanPlan, unit: Unit) -> bool {
        let generation = snapshot_generation(&self.filter);
        if generation != self.generation || self.part != Some(unit.part) {
            self.generation = generation;
            self.part = Some(unit.part);
            self.keep = prune::predicate(&self.filter, &plan.columns.schema)
                .map(|predicate| prune::keep(&predicate, plan.view.def(), &plan.parts[unit.part]));
        }
        self.keep.as_ref().is_none_or(|keep| keep[unit.batch])
    }
}

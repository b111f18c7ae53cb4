//! Rows ranked by their inner product with a sparse vector, on as many tasks as there are processors for the scan.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, Float64Array};
use datafusion::arrow::datatypes::Schema;
use datafusion::error::Result;
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder};
use trilith_udfs::kernels::{SparseQuery, TopK};

use super::search::SparseScan;
use crate::query::search::ranked::Ranking;
use crate::query::search::rows::{SearchedRows, Work};
use crate::query::search::tasks::on_all;

/// What is looked for, and where.
#[derive(Debug)]
pub(super) struct SparseRanking {
    /// The column, among those of the scan.
    pub column: usize,
    pub query: SparseQuery,
}

#[async_trait]
impl Ranking for SparseRanking {
    fn node(&self) -> &'static str {
        "SparseSearchExec"
    }

    fn describe(&self, scan: &Schema) -> String {
        format!("column={}, terms={}", scan.field(self.column).name(), self.query.weights().len())
    }

    async fn best(
        &self,
        rows: &Arc<SearchedRows>,
        work: &Arc<Work>,
        k: usize,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<(Vec<u64>, Vec<ArrayRef>)> {
        let compared = MetricBuilder::new(metrics).global_counter("rows_compared");
        let (rows, work) = (Arc::clone(rows), Arc::clone(work));
        let tasks_len = rows.scan.partitions_len();
        let search = Arc::new(SparseScan::new(rows, work, self.column, self.query.clone(), k));
        let mut best = TopK::new(k);
        for found in on_all(tasks_len, || search_parts(Arc::clone(&search), compared.clone())).await? {
            best.merge(found);
        }
        let best = best.into_sorted();
        let scores = Float64Array::from_iter_values(best.iter().map(|row| -row.distance));
        Ok((best.iter().map(|row| row.id).collect(), vec![Arc::new(scores)]))
    }
}

/// One task: searches parts until none is left, letting others run in between.
async fn search_parts(search: Arc<SparseScan>, compared: Count) -> Result<TopK> {
    let mut best = TopK::new(search.k());
    while let Some(count) = search.search_next(&mut best) {
        compared.add(count?);
        tokio::task::yield_now().await;
    }
    Ok(best)
}

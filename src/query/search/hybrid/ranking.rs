//! Rows ranked by words and by distance: both searches look at the same rows, and their rankings are fused.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, Float64Array};
use datafusion::arrow::datatypes::Schema;
use datafusion::error::Result;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;

use super::fuse::{Fused, Weights};
use crate::query::search::exec::nearest_rows;
use crate::query::search::knn::{KnnSearch, Query};
use crate::query::search::nearest::{Nulls, Placement};
use crate::query::search::ranked::Ranking;
use crate::query::search::rows::{SearchedRows, Work};
use crate::query::search::text::Wording;

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

#[async_trait]
impl Ranking for Searches {
    fn node(&self) -> &'static str {
        "HybridExec"
    }

    fn describe(&self, scan: &Schema) -> String {
        let Self { wording, query, weights, depth, .. } = self;
        let (text, vector) = (scan.field(wording.column).name(), scan.field(self.vector).name());
        let metric = query.metric;
        format!(
            "text={text}, query={:?}, vector={vector}, metric={metric}, fusion={}, depth={depth}",
            wording.text, weights.fusion
        )
    }

    async fn best(
        &self,
        rows: &Arc<SearchedRows>,
        work: &Arc<Work>,
        k: usize,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<(Vec<u64>, Vec<ArrayRef>)> {
        let texts = self.wording.nearest(rows, work, self.depth, metrics).await?;
        let placement = Placement { nulls: Nulls::Excluded, nan_first: false };
        let near =
            Arc::new(KnnSearch { rows: (**rows).clone(), vector: self.vector, placement, within: None });
        let near = nearest_rows(&near, work, &self.query, self.depth, metrics).await?.into_near();
        let fused = self.weights.fuse(&texts, &near, k);
        let of_rows = |value: fn(&Fused) -> Option<f64>| -> ArrayRef {
            Arc::new(fused.iter().map(value).collect::<Float64Array>())
        };
        let added =
            vec![of_rows(|row| row.text), of_rows(|row| row.distance), of_rows(|row| Some(row.score))];
        Ok((fused.iter().map(|row| row.id).collect(), added))
    }
}

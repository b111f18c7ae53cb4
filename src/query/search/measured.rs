//! Recall, measured on request: a search that may miss rows is made once more, exactly, and the figures of its node say
//! what share of that answer it gave. Rows as far away as the last of them count as found, whichever of them was.

use datafusion::error::Result;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder};
use trilith_udfs::vector::VectorQuery;

use super::knn::KnnSearch;
use super::rows::Work;

/// Of how many queries that are answered together the recall is measured.
const SAMPLE: usize = 16;

impl KnnSearch {
    /// Whether the recall of query `number` of `count` is to be measured.
    pub(super) fn is_measured(&self, number: usize, count: usize) -> bool {
        self.rows.scan.measures_recall() && number.is_multiple_of(count.div_ceil(SAMPLE).max(1))
    }

    /// Compares the distances that a search found with those of an exact one.
    ///
    /// # Errors
    /// When rows cannot be read.
    pub(super) async fn measure(
        &self,
        (query, k): (&VectorQuery, usize),
        work: &Work,
        found: impl Iterator<Item = f64>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<()> {
        // What the exact search looks at is none of the figures of the one that is measured.
        let aside = ExecutionPlanMetricsSet::new();
        let exact = self.nearest_of(query, (k, None), work, &aside).await?.into_near();
        if let Some(last) = exact.last() {
            let recall = MetricBuilder::new(metrics).ratio_metrics("recall", 0);
            recall.add_part(found.filter(|distance| *distance <= last.distance).count());
            recall.add_total(exact.len());
        }
        Ok(())
    }
}

//! Rows ranked by how well they fit words, on as many tasks as there are processors for the scan.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, Float64Array};
use datafusion::arrow::datatypes::Schema;
use datafusion::error::Result;
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder};
use trilith_udfs::kernels::{Neighbor, TopK};

use super::corpus::{Corpus, TextSource};
use super::query::TextQuery;
use super::search::CorpusSearch;
use crate::query::search::ranked::Ranking;
use crate::query::search::rows::{SearchedRows, Work};
use crate::query::search::tasks::on_all;

/// What is looked for, and where.
#[derive(Debug)]
pub(in crate::query::search) struct Wording {
    /// The column, among those of the scan.
    pub column: usize,
    /// What is indexed of it, and how.
    pub(super) source: TextSource,
    /// The query as it was given.
    pub text: String,
    /// The query.
    pub(super) query: TextQuery,
}

#[async_trait]
impl Ranking for Wording {
    fn node(&self) -> &'static str {
        "TextSearchExec"
    }

    fn describe(&self, scan: &Schema) -> String {
        let (column, language) = (scan.field(self.column).name(), self.source.analyzer.name());
        format!("column={column}, query={:?}, language={language}", self.text)
    }

    async fn best(
        &self,
        rows: &Arc<SearchedRows>,
        work: &Arc<Work>,
        k: usize,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<(Vec<u64>, Vec<ArrayRef>)> {
        let best = self.nearest(rows, work, k, metrics).await?;
        let scores = Float64Array::from_iter_values(best.iter().map(|row| -row.distance));
        Ok((best.iter().map(|row| row.id).collect(), vec![Arc::new(scores)]))
    }
}

impl Wording {
    /// The `k` best rows, best first; distances are negative scores.
    pub(in crate::query::search) async fn nearest(
        &self,
        rows: &Arc<SearchedRows>,
        work: &Arc<Work>,
        k: usize,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Vec<Neighbor>> {
        let scored = MetricBuilder::new(metrics).global_counter("rows_scored");
        let corpus = Corpus::open(&rows.scan, self.column, &self.source).await?;
        let search = Arc::new(CorpusSearch::new(corpus, &self.query, k)?);
        let task = || search_indexes(Arc::clone(&search), Arc::clone(rows), Arc::clone(work), scored.clone());
        let mut best = TopK::new(k);
        for found in on_all(rows.scan.partitions_len(), task).await? {
            best.merge(found);
        }
        Ok(best.into_sorted())
    }
}

/// One task: searches indexes until none is left, letting others run in between.
async fn search_indexes(
    search: Arc<CorpusSearch>,
    rows: Arc<SearchedRows>,
    work: Arc<Work>,
    scored: Count,
) -> Result<TopK> {
    let mut best = TopK::new(search.k());
    while let Some(count) = search.search_next(&rows, &work, &mut best) {
        scored.add(count?);
        tokio::task::yield_now().await;
    }
    Ok(best)
}

//! What a search has to find: what its call says, and else what the index of the column says.

use trilith_engine::{IndexDef, IndexMetric};
use trilith_udfs::kernels::Metric;
use trilith_udfs::vector::Effort;

use super::knn::{KnnSearch, Query};

/// The share of the nearest rows that a search finds of which only its work was bounded.
const RECALL: f64 = 0.98;

impl KnnSearch {
    /// What a query has to find; `None` for all of the nearest.
    pub(super) fn effort_of(&self, query: &Query) -> Option<Effort> {
        self.effort(query.metric, query.effort())
    }

    /// As [`KnnSearch::effort_of`], of the queries of one call.
    pub(super) fn effort(&self, metric: Metric, asked: Effort) -> Option<Effort> {
        let index = self.rows.scan.index(self.vector).filter(|index| serves(index, metric));
        let effort = match (index.map_or(1.0, |index| index.recall), asked.is_tuned()) {
            (1.0, true) => asked.or_recall(RECALL),
            (recall, _) => asked.or_recall(recall),
        };
        effort.recall().is_some_and(|recall| recall < 1.0).then_some(effort)
    }
}

/// Whether an index is for searches by a metric.
fn serves(index: &IndexDef, metric: Metric) -> bool {
    match index.metric {
        None => true,
        Some(IndexMetric::Cosine) => metric == Metric::Cosine,
        Some(IndexMetric::L2) => metric == Metric::L2,
        Some(IndexMetric::InnerProduct) => metric == Metric::InnerProduct,
    }
}

/// How a search that is held to this finds its rows, for a plan.
pub(super) fn strategy(effort: Option<Effort>) -> String {
    let Some(effort) = effort else { return "strategy=exact".into() };
    let tuned = [
        effort.nprobe.map(|lists| format!(", nprobe={lists}")),
        effort.ef_search.map(|rows| format!(", ef_search={rows}")),
        effort.epsilon().map(|epsilon| format!(", epsilon={epsilon}")),
        effort.rescore.map(|rows| format!(", rescore={rows}")),
    ];
    let recall = effort.recall().unwrap_or(1.0);
    format!("strategy=codes, recall={recall}{}", tuned.into_iter().flatten().collect::<String>())
}

//! Rows ranked by late interaction with the vectors of a query, on as many tasks as the scan has partitions.
//!
//! A row costs as much as there are pairs of vectors, so tasks take a few hundred rows at a time: a unit of a scan would leave some
//! of them without work for long.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, Float64Array};
use datafusion::arrow::datatypes::Schema;
use datafusion::error::Result;
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder};
use trilith_udfs::kernels::{Metric, TopK};
use trilith_udfs::vector::{Matrices, MaxSimQuery};

use crate::query::scan::Unit;
use crate::query::search::multivector::MULTIVECTOR_SEARCH;
use crate::query::search::ranked::Ranking;
use crate::query::search::rows::{SearchedRows, Work, row_number};
use crate::query::search::tasks::on_all;

/// Rows that a task takes at a time.
const ROWS_AT_ONCE: usize = 256;

/// What is looked for, and where.
#[derive(Debug)]
pub(super) struct MultivectorRanking {
    /// The column, among those of the scan.
    pub column: usize,
    pub query: Arc<MaxSimQuery>,
    pub metric: Metric,
}

#[async_trait]
impl Ranking for MultivectorRanking {
    fn node(&self) -> &'static str {
        "MultivectorSearchExec"
    }

    fn describe(&self, scan: &Schema) -> String {
        let (column, metric) = (scan.field(self.column).name(), self.metric);
        format!("column={column}, vectors={}, metric={metric}", self.query.len())
    }

    async fn best(
        &self,
        rows: &Arc<SearchedRows>,
        work: &Arc<Work>,
        k: usize,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<(Vec<u64>, Vec<ArrayRef>)> {
        let compared = MetricBuilder::new(metrics).global_counter("rows_compared");
        let search = Arc::new(Search {
            shares: shares(rows, work),
            rows: Arc::clone(rows),
            work: Arc::clone(work),
            column: self.column,
            query: Arc::clone(&self.query),
            next: AtomicUsize::new(0),
        });
        let mut best = TopK::new(k);
        let task = || search_shares(Arc::clone(&search), k, compared.clone());
        for found in on_all(rows.scan.partitions_len(), task).await? {
            best.merge(found);
        }
        let best = best.into_sorted();
        let scores = Float64Array::from_iter_values(best.iter().map(|row| 0.0 - row.distance));
        Ok((best.iter().map(|row| row.id).collect(), vec![Arc::new(scores)]))
    }
}

/// Rows of a unit that one task scores.
struct Share {
    number: usize,
    unit: Unit,
    rows: Range<usize>,
}

fn shares(rows: &SearchedRows, work: &Work) -> Vec<Share> {
    let of_unit = |(number, unit)| {
        let (_, place) = rows.scan.place(unit);
        let len = (place.end - place.start) as usize;
        let share = move |first| Share { number, unit, rows: first..len.min(first + ROWS_AT_ONCE) };
        (0..len).step_by(ROWS_AT_ONCE).map(share)
    };
    work.units().flat_map(of_unit).collect()
}

/// One search under way, shared by its tasks.
struct Search {
    rows: Arc<SearchedRows>,
    work: Arc<Work>,
    column: usize,
    query: Arc<MaxSimQuery>,
    shares: Vec<Share>,
    next: AtomicUsize,
}

/// The unit that a task is at, and its vectors.
type Current = Option<(usize, Matrices)>;

impl Search {
    /// Offers the rows of a share; returns how many were compared.
    fn score(
        &self,
        share: &Share,
        current: &mut Current,
        scales: &mut Vec<f32>,
        best: &mut TopK,
    ) -> Result<usize> {
        let selected = self.work.selected(&self.rows, share.number)?;
        let wanted = |row: &usize| selected.as_ref().is_none_or(|selected| selected.value(*row));
        let rows: Vec<usize> = share.rows.clone().filter(wanted).collect();
        if rows.is_empty() {
            return Ok(0);
        }
        let matrices = match current {
            Some((number, matrices)) if *number == share.number => matrices,
            other => {
                let (batch, _) = self.rows.scan.read_unmasked(share.unit, &[self.column])?;
                let matrices = Matrices::new(MULTIVECTOR_SEARCH.name, batch.column(0))?;
                &other.insert((share.number, matrices)).1
            }
        };
        for row in &rows {
            if let Some(score) = self.query.score(matrices, *row, scales)? {
                best.push(-score, row_number(share.number, *row));
            }
        }
        Ok(rows.len())
    }
}

/// One task: scores shares until none is left, letting others run in between.
async fn search_shares(search: Arc<Search>, k: usize, compared: Count) -> Result<TopK> {
    let (mut best, mut current, mut scales) = (TopK::new(k), None, vec![]);
    while let Some(share) = search.shares.get(search.next.fetch_add(1, Ordering::Relaxed)) {
        compared.add(search.score(share, &mut current, &mut scales, &mut best)?);
        tokio::task::yield_now().await;
    }
    Ok(best)
}

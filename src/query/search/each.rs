//! The nearest rows of each of many vectors: tasks take whole queries, not units of one, and share what conditions let through.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::common::plan_err;
use datafusion::common::runtime::JoinSet;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::ScalarUDF;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder};
use datafusion::scalar::ScalarValue;
use trilith_udfs::kernels::{Metric, Neighbor};
use trilith_udfs::vector::{DistanceFunction, Effort, VectorQuery};

use super::knn::KnnSearch;
use super::nearest::Nearest;
use super::rows::Work;

/// Queries whose rows make one batch of a result.
pub(super) const QUERIES_PER_BATCH: usize = 256;

/// What is asked.
#[derive(Debug)]
pub(super) struct Questions {
    /// A query that is null finds nothing.
    pub queries: Vec<Option<VectorQuery>>,
    pub metric: Metric,
    pub k: usize,
    /// What must be found.
    pub effort: Effort,
}

/// Of queries, by number, the nearest rows.
pub(super) type Found = Vec<(usize, Vec<Neighbor>)>;

impl Questions {
    /// The vectors of an array as queries of a distance function, which also says how many must be found.
    ///
    /// # Errors
    /// When the function is no distance, or the array holds no vectors.
    pub(super) fn new(function: &ScalarUDF, vectors: &ArrayRef, k: usize) -> Result<Self> {
        let Some(function) = function.inner().downcast_ref::<DistanceFunction>() else {
            return plan_err!("{} is no distance", function.name());
        };
        let query = |row| VectorQuery::new(function, &ScalarValue::try_from_array(vectors, row)?);
        let queries = (0..vectors.len()).map(query).collect::<Result<Vec<_>>>()?;
        Ok(Self { queries, metric: function.metric(), k, effort: function.effort() })
    }
}

/// The nearest rows of the queries of these numbers, by number. A query that is null is left out.
///
/// # Errors
/// When rows cannot be read, or a query has another length than they.
pub(super) async fn nearest_of_each(
    (search, questions): (&Arc<KnnSearch>, &Arc<Questions>),
    work: &Arc<Work>,
    numbers: Range<usize>,
    threads: usize,
    metrics: &ExecutionPlanMetricsSet,
) -> Result<Found> {
    let next = Arc::new(AtomicUsize::new(numbers.start));
    let mut tasks = JoinSet::new();
    for _ in 0..threads.min(numbers.len()) {
        let task = Task {
            search: Arc::clone(search),
            questions: Arc::clone(questions),
            work: Arc::clone(work),
            next: Arc::clone(&next),
            metrics: metrics.clone(),
        };
        tasks.spawn(task.answer(numbers.end));
    }
    let mut found = Vec::with_capacity(numbers.len());
    while let Some(answers) = tasks.join_next().await {
        found.extend(answers.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))??);
    }
    found.sort_unstable_by_key(|(query, _)| *query);
    Ok(found)
}

/// One of the tasks.
struct Task {
    search: Arc<KnnSearch>,
    questions: Arc<Questions>,
    work: Arc<Work>,
    next: Arc<AtomicUsize>,
    metrics: ExecutionPlanMetricsSet,
}

impl Task {
    /// Answers queries until none is left, letting others run now and then: a query may be done sooner than a thread changes.
    async fn answer(self, end: usize) -> Result<Found> {
        let Questions { queries, k, metric, effort } = &*self.questions;
        let effort = self.search.effort(*metric, *effort);
        let mut answers = Vec::new();
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(query) = queries.get(number).filter(|_| number < end) else { return Ok(answers) };
            let Some(query) = query else { continue };
            let nearest = self.search.nearest_of(query, (*k, effort), &self.work, &self.metrics).await?;
            let near = nearest.into_near();
            if effort.is_some() && self.search.is_measured(number, queries.len()) {
                let found = near.iter().map(|near| near.distance);
                self.search.measure((query, *k), &self.work, found, &self.metrics).await?;
            }
            answers.push((number, near));
        }
    }
}

impl KnnSearch {
    /// The `k` nearest rows of one query, found by one task.
    pub(super) async fn nearest_of(
        &self,
        query: &VectorQuery,
        (k, effort): (usize, Option<Effort>),
        work: &Work,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Nearest> {
        let counter = |name| MetricBuilder::new(metrics).global_counter(name);
        let compared = counter("rows_compared");
        let coded = self.coded(query, k, effort, counter);
        let mut nearest = Nearest::new(k);
        for units in work.shares() {
            compared.add(self.search_share(
                Some(query),
                coded.as_ref(),
                (work, units.clone()),
                &mut nearest,
            )?);
            tokio::task::coop::consume_budget().await;
        }
        Ok(nearest)
    }
}

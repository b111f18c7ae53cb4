//! The same work on several tasks that share what is left to do.

use std::future::Future;

use datafusion::common::runtime::JoinSet;
use datafusion::error::{DataFusionError, Result};

/// What `count` copies of a task give, one of them run here: it would only wait. The others stop when this is dropped.
///
/// # Errors
/// The first error of any.
pub(super) async fn on_all<T, F>(count: usize, task: impl Fn() -> F) -> Result<Vec<T>>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for _ in 1..count {
        tasks.spawn(task());
    }
    let mut done = vec![task().await?];
    while let Some(joined) = tasks.join_next().await {
        done.push(joined.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))??);
    }
    Ok(done)
}

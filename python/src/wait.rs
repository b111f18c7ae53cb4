//! Waiting for the runtime from a Python thread.
//!
//! The future runs on the database's own runtime, so that a long poll never keeps the waiting thread from
//! looking at signals. The GIL is released for the whole wait, also where a caller of an Arrow stream
//! still held it. Ctrl-C aborts the task, which drops the query and all it reads.

use std::future::Future;
use std::time::Duration;

use pyo3::prelude::*;
use tokio::task::{JoinError, JoinHandle};
use trilith::Database;

use crate::error::{from_database, from_engine};

/// How long a Ctrl-C may go unnoticed.
const SIGNAL_POLL: Duration = Duration::from_millis(50);

/// Runs `work` to its end, or to the next Ctrl-C.
pub(crate) fn wait<T, F>(py: Python<'_>, database: &Database, work: F) -> PyResult<T>
where
    T: Send + 'static,
    F: Future<Output = PyResult<T>> + Send + 'static,
{
    wait_and(py, database, work, |_| Ok(()))
}

/// As [`wait`], and calls `tick` between polls; an error of `tick` ends the work too.
pub(crate) fn wait_and<T, F>(
    py: Python<'_>,
    database: &Database,
    work: F,
    mut tick: impl FnMut(Python<'_>) -> PyResult<()> + Send,
) -> PyResult<T>
where
    T: Send + 'static,
    F: Future<Output = PyResult<T>> + Send + 'static,
{
    let runtime = database.runtime().map_err(from_database)?;
    py.detach(|| {
        let task = runtime.spawn(work);
        runtime.block_on(watch(task, &mut tick))
    })
}

async fn watch<T>(
    mut task: JoinHandle<PyResult<T>>,
    tick: &mut (impl FnMut(Python<'_>) -> PyResult<()> + Send),
) -> PyResult<T> {
    loop {
        match tokio::time::timeout(SIGNAL_POLL, &mut task).await {
            Ok(Ok(result)) => return result,
            Ok(Err(failure)) => return Err(stopped(&failure)),
            Err(_elapsed) => {
                let looked = Python::attach(|py| py.check_signals().and_then(|()| tick(py)));
                if let Err(stop) = looked {
                    task.abort();
                    return Err(stop);
                }
            }
        }
    }
}

fn stopped(failure: &JoinError) -> PyErr {
    from_engine(trilith::engine::Error::Internal(format!(
        "a task of the query runtime ended early: {failure}"
    )))
}

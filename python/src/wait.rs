//! Waiting for the runtime from a Python thread.
//!
//! The future runs on the database's own runtime and the calling thread waits on a channel of the
//! standard library: neither a long poll nor a busy runtime keeps it from looking at signals. The GIL is
//! released for the whole wait, also where a caller of an Arrow stream still held it. Ctrl-C aborts the
//! task, which drops the query and all it reads.

use std::future::Future;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use pyo3::prelude::*;
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
        let (sender, receiver) = sync_channel(1);
        let task = runtime.spawn(async move {
            let _caller_gone = sender.send(work.await);
        });
        watch(&receiver, &mut tick).inspect_err(|_| task.abort())
    })
}

fn watch<T>(
    receiver: &Receiver<PyResult<T>>,
    tick: &mut (impl FnMut(Python<'_>) -> PyResult<()> + Send),
) -> PyResult<T> {
    loop {
        match receiver.recv_timeout(SIGNAL_POLL) {
            Ok(result) => return result,
            Err(RecvTimeoutError::Timeout) => {
                Python::attach(|py| py.check_signals().and_then(|()| tick(py)))?
            }
            Err(RecvTimeoutError::Disconnected) => {
                let what = "a task of the query runtime ended early".to_owned();
                return Err(from_engine(trilith::engine::Error::Internal(what)));
            }
        }
    }
}

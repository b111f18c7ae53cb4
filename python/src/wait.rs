//! Waiting for the runtime from a Python thread.
//!
//! The future runs on the database's own runtime and the calling thread waits on a channel of the
//! standard library: neither a long poll nor a busy runtime keeps it from looking at signals. The GIL is
//! released for the whole wait, also where a caller of an Arrow stream still held it. Ctrl-C aborts the
//! task, which drops the query and all it reads. Work that is shorter than a change of threads begins on the calling thread.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pyo3::prelude::*;
use tokio::runtime::Handle;
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
    py.detach(|| on_runtime(&runtime, work, &mut tick))
}

/// As [`wait_and`], but the work runs on the calling thread until it waits for something or lets others run: for work
/// that may be done by then, and whose stack is shallow.
pub(crate) fn begin_and<T, F>(
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
        let mut work = Box::pin(work);
        let begun = {
            let _entered = runtime.enter();
            let mut context = Context::from_waker(Waker::noop());
            // A panic ends the work and nothing else, as it does on the runtime.
            catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(&mut context)))
        };
        match begun {
            Ok(Poll::Ready(done)) => done,
            Ok(Poll::Pending) => on_runtime(&runtime, work, &mut tick),
            Err(_) => Err(ended_early()),
        }
    })
}

fn on_runtime<T, F>(
    runtime: &Handle,
    work: F,
    tick: &mut (impl FnMut(Python<'_>) -> PyResult<()> + Send),
) -> PyResult<T>
where
    T: Send + 'static,
    F: Future<Output = PyResult<T>> + Send + 'static,
{
    let (sender, receiver) = sync_channel(1);
    let task = runtime.spawn(async move {
        let _caller_gone = sender.send(work.await);
    });
    watch(&receiver, tick).inspect_err(|_| task.abort())
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
            Err(RecvTimeoutError::Disconnected) => return Err(ended_early()),
        }
    }
}

fn ended_early() -> PyErr {
    let what = "a task of the query runtime ended early".to_owned();
    from_engine(trilith::engine::Error::Internal(what))
}

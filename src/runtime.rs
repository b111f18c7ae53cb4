//! The process's own async runtime, shared by every open database.
//!
//! Planning runs on its workers, whose stacks are large, and never on a caller's thread of unknown
//! size. It is not dropped: a blocked worker at exit must not hang the process. After `fork()` the
//! child has no worker threads, so a runtime remembers its process and the child gets a new one;
//! handles opened before the fork refuse to work (see `Database`).

use std::future::Future;
use std::sync::mpsc;

use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle, Runtime};
use trilith_engine::Error as EngineError;

use crate::error::Result;

/// Stack of a worker, in bytes: enough for the deepest statement that `query::limits` admits.
const WORKER_STACK_BYTES: usize = 32 << 20;

/// The runtime of one process; leaked on purpose.
struct Owned {
    pid: u32,
    runtime: &'static Runtime,
}

static OWNED: Mutex<Option<Owned>> = Mutex::new(None);

/// Handle of this process's runtime, started on first use.
///
/// # Errors
/// When the operating system refuses threads.
pub(crate) fn handle() -> Result<Handle> {
    let pid = std::process::id();
    let mut owned = OWNED.lock();
    if let Some(owned) = owned.as_ref().filter(|owned| owned.pid == pid) {
        return Ok(owned.runtime.handle().clone());
    }
    let runtime: &'static Runtime = Box::leak(Box::new(start()?));
    *owned = Some(Owned { pid, runtime });
    Ok(runtime.handle().clone())
}

fn start() -> Result<Runtime> {
    Builder::new_multi_thread()
        .thread_name("trilith")
        .thread_stack_size(WORKER_STACK_BYTES)
        .enable_all()
        .build()
        .map_err(|error| EngineError::io("start threads for", "the query runtime", error).into())
}

/// Runs `future` on the process's runtime and waits for it without blocking the caller's runtime. A caller that is
/// on it already goes on where it is: a change of threads costs as much as planning a small statement.
pub(crate) async fn on_worker<T, F>(future: F) -> Result<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let runtime = handle()?;
    if Handle::try_current().is_ok_and(|current| current.id() == runtime.id()) {
        return future.await;
    }
    let task = AbortOnDrop(runtime.spawn(future));
    task.join().await
}

/// Runs `future` on the process's runtime and blocks the calling thread until it is done.
///
/// Safe to call from any thread, inside another runtime too: nothing of the caller's is entered.
pub(crate) fn block_on<T, F>(future: F) -> Result<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let (sender, receiver) = mpsc::sync_channel(1);
    let _task = handle()?.spawn(async move {
        let _caller_gone = sender.send(future.await);
    });
    receiver.recv().map_err(|_| panicked())?
}

fn panicked() -> EngineError {
    EngineError::Internal("a task of the query runtime panicked".into())
}

/// Cancels the task when the future waiting for it is dropped.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> AbortOnDrop<Result<T>> {
    async fn join(mut self) -> Result<T> {
        (&mut self.0).await.map_err(|_| panicked())?
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn blocking_works_inside_another_runtime() {
        let outer = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let answer = outer.block_on(async { block_on(async { Ok(7) }).unwrap() });
        assert_eq!(answer, 7);
    }

    #[test]
    fn panic_in_a_task_is_an_error() {
        let result: Result<i32> = block_on(async { Ok([7][std::hint::black_box(1)]) });
        assert!(result.unwrap_err().to_string().contains("panicked"));
    }
}

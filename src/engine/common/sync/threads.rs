//! Threads and time: a thread that one of a schedule starts belongs to it, and there time is its steps.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use super::turn::current;

/// A thread that [`spawn`] started.
#[derive(Debug)]
pub struct Thread {
    handle: JoinHandle<()>,
    /// Its work is done, as a schedule sees it.
    ended: Arc<AtomicBool>,
}

impl Thread {
    /// True in the thread itself.
    #[must_use]
    pub fn is_this(&self) -> bool {
        self.handle.thread().id() == std::thread::current().id()
    }

    /// Waits for its end. A panic in it was reported by the panic hook.
    pub fn join(self) {
        if let Some(turn) = current() {
            turn.point();
            while !self.ended.load(Ordering::Acquire) {
                turn.wait(Arc::as_ptr(&self.ended) as usize, false);
            }
        }
        let _ = self.handle.join();
    }
}

/// Starts a thread.
///
/// # Errors
/// When the system has none to give.
pub fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<Thread> {
    let ended = Arc::new(AtomicBool::new(false));
    let turn = current().map(|turn| turn.child());
    let (builder, end) = (Builder::new().name(name.into()), Arc::clone(&ended));
    let handle = match turn {
        None => builder.spawn(work)?,
        Some(turn) => builder.spawn(move || {
            turn.run(|| {
                work();
                end.store(true, Ordering::Release);
                current().into_iter().for_each(|turn| turn.wake(Arc::as_ptr(&end) as usize, true));
            });
        })?,
    };
    Ok(Thread { handle, ended })
}

/// The present moment.
#[must_use]
pub fn now() -> Instant {
    current().map_or_else(Instant::now, |turn| turn.now())
}

/// Does nothing for a while.
pub fn sleep(time: Duration) {
    match current() {
        None => std::thread::sleep(time),
        // Nobody wakes anything there.
        Some(turn) => turn.wait(0, true),
    }
}

/// Lets others go on.
pub fn yield_now() {
    match current() {
        None => std::thread::yield_now(),
        Some(turn) => turn.give_way(),
    }
}

//! A release build: nothing between the engine and the libraries.

use std::io;
use std::sync::PoisonError;
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

pub use arc_swap::ArcSwap;
pub use parking_lot::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize};
pub use std::thread::{sleep, yield_now};

/// A gate that opens once. It is std's lock and condition, for one call to the system then wakes everybody who waits:
/// parking_lot has each of them wake the next.
#[derive(Debug, Default)]
pub struct Gate {
    open: std::sync::Mutex<bool>,
    opened: std::sync::Condvar,
}

impl Gate {
    /// Lets everybody through, from now on.
    pub fn open(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.opened.notify_all();
    }

    /// Waits until it is open.
    pub fn wait(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        while !*open {
            open = self.opened.wait(open).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A thread that [`spawn`] started.
#[derive(Debug)]
pub struct Thread(JoinHandle<()>);

impl Thread {
    /// True in the thread itself.
    #[must_use]
    pub fn is_this(&self) -> bool {
        self.0.thread().id() == std::thread::current().id()
    }

    /// Waits for its end. A panic in it was reported by the panic hook.
    pub fn join(self) {
        let _ = self.0.join();
    }
}

/// Starts a thread.
///
/// # Errors
/// When the system has none to give.
pub fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<Thread> {
    Builder::new().name(name.into()).spawn(work).map(Thread)
}

/// The present moment.
#[must_use]
pub fn now() -> Instant {
    Instant::now()
}

/// Where a test may let another thread go on.
#[inline(always)]
pub fn point() {}

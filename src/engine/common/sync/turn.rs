//! Whose turn it is: what a scheduler is asked, and how a thread finds the one it belongs to.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Threads that belong to a scheduler.
static SCHEDULED: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static TURN: RefCell<Option<Turn>> = const { RefCell::new(None) };
}

/// Decides which of its threads runs. A *place* is the address of a lock or a condition.
pub trait Scheduler: Send + Sync {
    /// `thread` runs and goes on running, perhaps after others; surely after others when it `yields` and there are any.
    fn point(&self, thread: usize, yields: bool);

    /// `thread` goes on once `place` was woken; when `timed`, perhaps before.
    fn wait(&self, thread: usize, place: usize, timed: bool);

    /// Lets those that wait at `place` go on, all or one.
    fn wake(&self, place: usize, all: bool);

    /// A moment that only the schedule's steps move on.
    fn now(&self) -> Instant;

    /// The number of a thread that is about to be started.
    fn adopt(&self) -> usize;

    /// The first thing a thread does: it waits for its turn.
    fn enter(&self, thread: usize);

    /// The last thing it does, with what it panicked with.
    fn leave(&self, thread: usize, panic: Option<String>);
}

/// A thread of a scheduler.
#[derive(Clone)]
pub struct Turn {
    scheduler: Arc<dyn Scheduler>,
    thread: usize,
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "thread {} of a schedule", self.thread)
    }
}

impl Turn {
    /// A new thread of `scheduler`.
    #[must_use]
    pub fn new(scheduler: Arc<dyn Scheduler>) -> Self {
        let thread = scheduler.adopt();
        Self { scheduler, thread }
    }

    /// A thread that the one at work starts.
    pub(super) fn child(&self) -> Self {
        Self::new(Arc::clone(&self.scheduler))
    }

    /// Does `work` in the calling thread, as this one.
    pub fn run(self, work: impl FnOnce()) {
        SCHEDULED.fetch_add(1, Ordering::Relaxed);
        TURN.set(Some(self.clone()));
        self.scheduler.enter(self.thread);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        TURN.set(None);
        SCHEDULED.fetch_sub(1, Ordering::Relaxed);
        self.scheduler.leave(self.thread, outcome.err().map(|panic| text(&*panic)));
    }

    pub(super) fn point(&self) {
        self.scheduler.point(self.thread, false);
    }

    pub(super) fn give_way(&self) {
        self.scheduler.point(self.thread, true);
    }

    pub(super) fn wait(&self, place: usize, timed: bool) {
        self.scheduler.wait(self.thread, place, timed);
    }

    pub(super) fn wake(&self, place: usize, all: bool) {
        self.scheduler.wake(place, all);
    }

    pub(super) fn now(&self) -> Instant {
        self.scheduler.now()
    }

    /// Tries until it gets what only one thread at a time can have.
    pub(super) fn acquire<G>(&self, place: usize, attempt: impl Fn() -> Option<G>) -> G {
        self.point();
        loop {
            if let Some(guard) = attempt() {
                return guard;
            }
            self.wait(place, false);
        }
    }
}

fn text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// The calling thread's turn, when it belongs to a schedule.
#[inline]
pub(super) fn current() -> Option<Turn> {
    if SCHEDULED.load(Ordering::Relaxed) == 0 { None } else { of_this_thread() }
}

#[cold]
fn of_this_thread() -> Option<Turn> {
    TURN.try_with(|turn| turn.borrow().clone()).ok().flatten()
}

/// Where a test may let another thread go on.
#[inline]
pub fn point() {
    if let Some(turn) = current() {
        turn.point();
    }
}

//! Schedules of threads by seed: which thread goes on at each lock, atomic and call of a simulated disk.
//!
//! [`run`] gives a program and every thread it starts by `common::sync` to one scheduler. One thread runs at a time, so the same seed
//! gives the same schedule, if the program does nothing by chance or by the time. A schedule fails when a thread panics,
//! when none can go on, and when there is no end; its threads then stay where they are, for ever.
//!
//! Half of the seeds change threads at random. The others are those of Burckhardt, Kothari, Musuvathi and Nagarakatti, "A Randomized
//! Scheduler with Probabilistic Guarantees of Finding Bugs" (ASPLOS 2010): the thread of the highest rank runs, and at a
//! few steps it becomes the lowest.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::Thread as SystemThread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::common::sync::{Scheduler, Turn};

/// Steps of a schedule that has no end.
const STEPS_MAX: u64 = 4_000_000;
/// How often, in changes of threads, one that waits for a time or for being woken goes on by the time.
const TIMEOUTS: u32 = 24;
/// Steps among which ranks change.
const RANKED_STEPS: [u64; 3] = [200, 2_000, 20_000];

/// A schedule that ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trace {
    /// Moments at which another thread could have gone on.
    pub steps: u64,
    /// How often one did.
    pub changes: u64,
    /// Of every thread that went on, and when.
    pub hash: u64,
}

/// A mistake that the scheduler makes, to prove that a harness notices it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ScheduleBug {
    /// A third of those that wait for being woken are not.
    LosesWakeups,
}

/// Does `body` in a thread of its own, as the schedule of `seed`.
///
/// # Errors
/// What a thread panicked with; that none can go on; that there is no end.
pub fn run(
    seed: u64,
    bug: Option<ScheduleBug>,
    body: impl FnOnce() + Send + 'static,
) -> Result<Trace, String> {
    let baton = Arc::new(Baton::new(seed, bug));
    let turn = Turn::new(Arc::clone(&baton) as Arc<dyn Scheduler>);
    let started = std::thread::Builder::new().name("schedule".into()).spawn(move || turn.run(body));
    started.map_err(|error| format!("no thread: {error}"))?;
    let mut table = baton.table.lock();
    while table.failure.is_none() && table.threads.iter().any(|thread| thread.doing != Doing::Ended) {
        baton.over.wait(&mut table);
    }
    table.failure.clone().map_or(Ok(table.trace), Err)
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Doing {
    Ready,
    Waiting { place: usize, timed: bool },
    Ended,
}

#[derive(Debug)]
struct Thread {
    doing: Doing,
    rank: i64,
    /// Once it entered.
    system: Option<SystemThread>,
}

#[derive(Debug)]
enum Policy {
    /// Another thread at one step in so many.
    Random(u32),
    /// The highest rank goes on; at these steps it becomes the lowest.
    Ranked(Vec<u64>),
}

#[derive(Debug)]
struct Table {
    threads: Vec<Thread>,
    dice: SmallRng,
    policy: Policy,
    lowest: i64,
    trace: Trace,
    bug: Option<ScheduleBug>,
    failure: Option<String>,
}

/// Who has it runs.
struct Baton {
    table: Mutex<Table>,
    holder: AtomicUsize,
    over: Condvar,
    start: Instant,
}

impl fmt::Debug for Baton {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Baton").field("holder", &self.holder).finish_non_exhaustive()
    }
}

impl Table {
    fn new(seed: u64, bug: Option<ScheduleBug>) -> Self {
        let mut dice = SmallRng::seed_from_u64(seed);
        let policy = if dice.random() {
            Policy::Random([2, 4, 16, 64][dice.random_range(0..4)])
        } else {
            let among = RANKED_STEPS[dice.random_range(0..RANKED_STEPS.len())];
            let changes = dice.random_range(1..5);
            Policy::Ranked((0..changes).map(|_| dice.random_range(0..among)).collect())
        };
        let trace = Trace { steps: 0, changes: 0, hash: seed };
        Self { threads: Vec::new(), dice, policy, lowest: 0, trace, bug, failure: None }
    }

    /// The thread that goes on, when one can. `me` has just taken a step.
    fn choose(&mut self, me: usize, yields: bool) -> Option<usize> {
        self.trace.steps += 1;
        let stays = self.threads[me].doing == Doing::Ready;
        let sinks = match &self.policy {
            Policy::Random(one_in) if stays && !yields && !self.dice.random_ratio(1, *one_in) => {
                return Some(me);
            }
            Policy::Random(_) => false,
            Policy::Ranked(steps) => yields || steps.contains(&self.trace.steps),
        };
        if sinks {
            self.lowest -= 1;
            self.threads[me].rank = self.lowest;
        }
        if self.dice.random_ratio(1, TIMEOUTS) {
            self.time_out();
        }
        self.pick(me, yields).or_else(|| {
            self.time_out();
            self.pick(me, yields)
        })
    }

    fn pick(&mut self, me: usize, yields: bool) -> Option<usize> {
        let ready = |threads: &[Thread]| -> Vec<usize> {
            (0..threads.len()).filter(|at| threads[*at].doing == Doing::Ready).collect()
        };
        let mut ready = ready(&self.threads);
        if yields && ready.len() > 1 {
            ready.retain(|at| *at != me);
        }
        match &self.policy {
            _ if ready.is_empty() => None,
            Policy::Random(_) => Some(ready[self.dice.random_range(0..ready.len())]),
            Policy::Ranked(_) => ready.into_iter().max_by_key(|at| self.threads[*at].rank),
        }
    }

    /// The time of one that waits is over.
    fn time_out(&mut self) {
        let is_timed = |thread: &Thread| matches!(thread.doing, Doing::Waiting { timed: true, .. });
        let timed: Vec<usize> = (0..self.threads.len()).filter(|at| is_timed(&self.threads[*at])).collect();
        if !timed.is_empty() {
            self.threads[timed[self.dice.random_range(0..timed.len())]].doing = Doing::Ready;
        }
    }

    fn stuck(&self) -> Option<String> {
        let waiting = |thread: &Thread| matches!(thread.doing, Doing::Waiting { .. });
        let count = self.threads.iter().filter(|thread| waiting(thread)).count();
        (count > 0).then(|| format!("none of {count} threads can go on"))
    }
}

impl Baton {
    fn new(seed: u64, bug: Option<ScheduleBug>) -> Self {
        let (table, over) = (Mutex::new(Table::new(seed, bug)), Condvar::new());
        Self { table, holder: AtomicUsize::new(0), over, start: Instant::now() }
    }

    /// Hands the baton on, and waits until it comes back.
    fn pass(&self, mut table: MutexGuard<'_, Table>, me: usize, yields: bool) {
        if let Some(next) = self.hand_on(&mut table, me, yields) {
            drop(table);
            if next != me {
                self.rest(me);
            }
            return;
        }
        drop(table);
        self.stay();
    }

    /// Gives the baton to who goes on; `None` at the end of the schedule, good or bad.
    fn hand_on(&self, table: &mut Table, me: usize, yields: bool) -> Option<usize> {
        let next = table.choose(me, yields);
        if table.trace.steps > STEPS_MAX {
            table.failure.get_or_insert_with(|| "there is no end".to_owned());
        }
        if next.is_none() {
            table.failure = table.failure.take().or_else(|| table.stuck());
        }
        if table.failure.is_some() || next.is_none() {
            self.over.notify_all();
            return None;
        }
        let next = next?;
        if next != me {
            table.trace.changes += 1;
            let mark = table.trace.steps.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ next as u64;
            table.trace.hash = table.trace.hash.rotate_left(5).wrapping_mul(0x0100_0000_01b3) ^ mark;
            self.holder.store(next, Ordering::Release);
            if let Some(system) = &table.threads[next].system {
                system.unpark();
            }
        }
        Some(next)
    }

    /// Waits for the baton.
    fn rest(&self, me: usize) {
        while self.holder.load(Ordering::Acquire) != me {
            std::thread::park();
        }
    }

    /// The schedule has failed: nothing moves any more.
    fn stay(&self) -> ! {
        loop {
            std::thread::park();
        }
    }
}

impl Scheduler for Baton {
    fn point(&self, thread: usize, yields: bool) {
        self.pass(self.table.lock(), thread, yields);
    }

    fn wait(&self, thread: usize, place: usize, timed: bool) {
        let mut table = self.table.lock();
        table.threads[thread].doing = Doing::Waiting { place, timed };
        self.pass(table, thread, false);
    }

    fn wake(&self, place: usize, all: bool) {
        let mut table = self.table.lock();
        let is_here =
            |thread: &Thread| matches!(thread.doing, Doing::Waiting { place: at, .. } if at == place);
        let here: Vec<usize> = (0..table.threads.len()).filter(|at| is_here(&table.threads[*at])).collect();
        if here.is_empty() || (table.bug == Some(ScheduleBug::LosesWakeups) && table.dice.random_ratio(1, 3))
        {
            return;
        }
        let one = here[table.dice.random_range(0..here.len())];
        for at in here.into_iter().filter(|at| all || *at == one) {
            table.threads[at].doing = Doing::Ready;
        }
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_micros(self.table.lock().trace.steps)
    }

    fn adopt(&self) -> usize {
        let mut table = self.table.lock();
        let rank = table.dice.random_range(0..1 << 32);
        table.threads.push(Thread { doing: Doing::Ready, rank, system: None });
        table.threads.len() - 1
    }

    fn enter(&self, thread: usize) {
        self.table.lock().threads[thread].system = Some(std::thread::current());
        self.rest(thread);
    }

    fn leave(&self, thread: usize, panic: Option<String>) {
        let mut table = self.table.lock();
        table.threads[thread].doing = Doing::Ended;
        table.failure = table.failure.take().or(panic.map(|text| format!("a thread panicked: {text}")));
        // Who has ended waits for nothing.
        let _ = self.hand_on(&mut table, thread, false);
    }
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;

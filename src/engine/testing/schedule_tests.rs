//! The scheduler finds the mistakes of small programs, and finds them again by their seeds.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{ScheduleBug, run};
use crate::common::sync::{AtomicU64, Condvar, Mutex, RwLock, RwLockWriteGuard, Thread, sleep, spawn};

type Program = fn();

/// The first seed of a few hundred that fails, and what it says.
fn first_failure(bug: Option<ScheduleBug>, program: Program) -> Option<(u64, String)> {
    (0..400).find_map(|seed| run(seed, bug, program).err().map(|text| (seed, text)))
}

fn together(work: impl Fn() + Clone + Send + 'static) {
    let threads: Vec<_> = (0..2).map(|_| spawn("worker", work.clone())).collect();
    threads.into_iter().flatten().for_each(Thread::join);
}

/// Reads and writes as two steps.
fn lost_update() {
    let count = Arc::new(AtomicU64::new(0));
    let shared = Arc::clone(&count);
    together(move || shared.store(shared.load(Ordering::Acquire) + 1, Ordering::Release));
    assert_eq!(count.load(Ordering::Acquire), 2, "an update was lost");
}

fn update_under_a_lock() {
    let count = Arc::new(Mutex::new(0));
    let shared = Arc::clone(&count);
    together(move || *shared.lock() += 1);
    assert_eq!(*count.lock(), 2);
}

/// Two locks in two orders.
fn deadly_embrace() {
    let locks = Arc::new((Mutex::new(()), Mutex::new(())));
    let (here, there) = (Arc::clone(&locks), locks);
    let one = spawn("one", move || drop((here.0.lock(), here.1.lock())));
    let other = spawn("other", move || drop((there.1.lock(), there.0.lock())));
    [one, other].into_iter().flatten().for_each(Thread::join);
}

fn wait_for_a_value() {
    let shared = Arc::new((Mutex::new(0), Condvar::new()));
    let theirs = Arc::clone(&shared);
    let setter = spawn("setter", move || {
        sleep(Duration::from_millis(1));
        *theirs.0.lock() = 1;
        theirs.1.notify_one();
    });
    let mut value = shared.0.lock();
    while *value == 0 {
        shared.1.wait(&mut value);
    }
    drop(value);
    setter.into_iter().for_each(Thread::join);
}

fn readers_beside_a_writer() {
    let pair = Arc::new(RwLock::new((0, 0)));
    let shared = Arc::clone(&pair);
    together(move || {
        let mut both = shared.write();
        both.0 += 1;
        both.1 += 1;
        let both = RwLockWriteGuard::downgrade(both);
        assert_eq!(both.0, both.1);
        drop(both);
        let both = shared.read();
        assert_eq!(both.0, both.1);
    });
}

#[test]
fn a_lost_update_is_found_and_found_again() {
    let (seed, text) = first_failure(None, lost_update).unwrap_or_default();
    assert!(text.contains("an update was lost"), "{text}");
    assert_eq!(run(seed, None, lost_update).err().as_ref(), Some(&text));
}

#[test]
fn a_deadlock_is_found() {
    let (_, text) = first_failure(None, deadly_embrace).unwrap_or_default();
    assert_eq!(text, "none of 3 threads can go on");
}

#[test]
fn what_is_right_never_fails_and_a_seed_is_one_schedule() {
    for program in [update_under_a_lock, wait_for_a_value, readers_beside_a_writer] as [Program; 3] {
        for seed in 0..200 {
            let trace = run(seed, None, program);
            assert!(trace.is_ok(), "seed {seed}: {trace:?}");
            assert_eq!(trace, run(seed, None, program), "seed {seed}");
        }
    }
}

#[test]
fn schedules_differ() {
    let mut hashes: Vec<u64> = (0..100)
        .filter_map(|seed| run(seed, None, update_under_a_lock).ok())
        .map(|trace| trace.hash)
        .collect();
    hashes.sort_unstable();
    hashes.dedup();
    assert!(hashes.len() > 50, "{} of 100 schedules", hashes.len());
}

#[test]
fn a_lost_wakeup_is_found() {
    let (_, text) = first_failure(Some(ScheduleBug::LosesWakeups), wait_for_a_value).unwrap_or_default();
    assert!(text.contains("can go on"), "{text}");
}

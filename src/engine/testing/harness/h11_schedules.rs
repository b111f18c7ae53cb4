//! H11: schedules of threads. Which thread goes on at each lock, atomic and storage call is decided by the seed.
//!
//! Three of four schedules run an engine: commits at every level, transactions, bulk appends, flushes, compactions, vacuums,
//! snapshots taken, read and dropped, a backup, a close beside writers, with background threads or without. One of four
//! runs the index of a memtable alone. Some seeds run twice and must give the same schedule.
//!
//! The scheduler is `testing::run_schedule`. loom and shuttle were not taken: each wants the engine built a second time
//! over types of its own, and what was tested would not be what the other harnesses test; loom explores every order of
//! memory, and for that is confined to programs of a few dozen steps.

use trilith_engine::testing::{ScheduleBug, Trace, run_schedule};

use crate::h11_index;
use crate::h11_world::{self, World};
use crate::lanes;
use crate::planted::Bug;
use crate::report::{Budget, Report, Verdict};

/// One seed in so many runs twice.
const REPEATED: u64 = 16;

/// A mistake, to prove that the harness bites.
#[derive(Clone, Copy, Debug)]
pub enum Planted {
    /// Of the scheduler: threads that wait are not woken.
    Scheduler(ScheduleBug),
    /// Of the disk.
    Storage(Bug),
    /// Of readers: each table is read from a snapshot of its own.
    TornReads,
    /// Of the index's readers: a walk begins anew at each key, past the keys that came later.
    LateReads,
}

/// Runs the harness.
pub fn harness(budget: &Budget) -> Report {
    schedules(budget, None)
}

/// Runs it with a mistake.
pub fn schedules(budget: &Budget, bug: Option<Planted>) -> Report {
    lanes::run(budget, |seed, report| {
        let trace = match trial(seed, bug) {
            Ok(trace) => trace,
            Err(text) => return report.count(Verdict::Wrong(format!("seed {seed}: {text}"))),
        };
        report.add("steps", trace.steps);
        report.add("changes", trace.changes);
        report.add(if is_index(seed) { "index" } else { "engine" }, 1);
        if seed.is_multiple_of(REPEATED) {
            report.add("repeated", 1);
            if trial(seed, bug) != Ok(trace) {
                return report
                    .count(Verdict::Wrong(format!("seed {seed} gives another schedule when run again")));
            }
        }
        report.count(Verdict::Survived);
    })
}

fn is_index(seed: u64) -> bool {
    seed % 4 == 3
}

fn trial(seed: u64, bug: Option<Planted>) -> Result<Trace, String> {
    let lost = match bug {
        Some(Planted::Scheduler(bug)) => Some(bug),
        _ => None,
    };
    if is_index(seed) {
        return run_schedule(seed, lost, move || {
            h11_index::body(seed, matches!(bug, Some(Planted::LateReads)))
        });
    }
    let world = World::new(seed, bug);
    let shared = world.clone();
    let trace = run_schedule(seed, lost, move || h11_world::body(&shared))?;
    world.judge().map(|()| trace)
}

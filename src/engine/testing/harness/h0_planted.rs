//! The test of the tests: each planted bug must be caught by its harness within its time.

use trilith_engine::testing::BucketBug;

use crate::planted::Bug;
use crate::report::{Budget, Report, Verdict};
use crate::shim::Strike;
use crate::{
    h1_crash, h2_faults, h4_power, h5_replay, h6_flips, h10_history, h14_syscalls, h15_processes,
    h16_objects, h19_repair, sealed,
};

type Hunt = fn(&Budget, Option<Bug>) -> Report;

const HUNTS: [(&str, Hunt, Bug); 7] = [
    ("h1", h1_crash::crash_states, Bug::SkipFolderSync),
    ("h1", h1_crash::crash_states, Bug::SkipFileSync),
    ("h1", h1_crash::crash_states, Bug::SkipBlobSync),
    ("h1", h1_crash::crash_states, Bug::FlipOnWrite),
    ("h2", h2_faults::faults, Bug::HideFailedSync),
    ("h2", h2_faults::faults, Bug::HideFailedWrite),
    ("h10", h10_history::histories, Bug::SkipFileSync),
];

type Cuts = fn(&Budget, Option<Strike>) -> Report;

/// Syncs that say they were done, and were not: of files, and of folders.
const LIES: [(&str, Cuts, &str); 3] = [
    ("h4", h4_power::cuts, "fdatasync"),
    ("h5", h5_replay::replays, "fdatasync"),
    ("h5", h5_replay::replays, "fsync"),
];

/// Where nothing can be mounted there is nothing to hunt in.
fn hunt_in_file_systems(budget: &Budget, report: &mut Report) {
    for (name, hunt, call) in LIES {
        let lie = Strike { call, nth: 1, forever: true, errno: 0 };
        let found = hunt(&Budget::new(budget.seed, 10.0 * budget.secs), Some(lie));
        report.add("searched", found.injected);
        report.count(if found.failures.is_empty() && found.skipped.is_none() {
            Verdict::Wrong(format!("{name} does not notice {lie:?} in {} trials", found.injected))
        } else {
            Verdict::Survived
        });
    }
}

#[cfg(debug_assertions)]
fn hunt_in_schedules(budget: &Budget, report: &mut Report) {
    use crate::h11_schedules::{Planted, schedules};
    let bugs = [
        Planted::Scheduler(trilith_engine::testing::ScheduleBug::LosesWakeups),
        Planted::Storage(Bug::RemoveWhileRead),
        Planted::TornReads,
        Planted::LateReads,
    ];
    for bug in bugs {
        let found = schedules(&Budget::new(budget.seed, 10.0 * budget.secs), Some(bug));
        report.add("searched", found.injected);
        report.count(if found.failures.is_empty() {
            Verdict::Wrong(format!("h11 does not notice {bug:?} in {} schedules", found.injected))
        } else {
            Verdict::Survived
        });
    }
}

/// Without schedules there is nothing to hunt in.
#[cfg(not(debug_assertions))]
fn hunt_in_schedules(_: &Budget, report: &mut Report) {
    (0..4).for_each(|_| report.count(Verdict::Survived));
}

/// Runs the harness. A hunt ends with its find, so a long time is not spent, but on a slow machine.
pub fn harness(budget: &Budget) -> Report {
    let mut report = Report::default();
    for (name, hunt, bug) in HUNTS {
        let found = hunt(&Budget::new(budget.seed, 5.0 * budget.secs), Some(bug));
        report.add("searched", found.injected);
        report.count(if found.failures.is_empty() {
            Verdict::Wrong(format!("{name} does not notice {bug:?} in {} trials", found.injected))
        } else {
            Verdict::Survived
        });
    }
    report.count(if h6_flips::notices_forged_manifest() {
        Verdict::Survived
    } else {
        Verdict::Wrong("h6 does not notice a manifest that was changed and sealed again".into())
    });
    report.count(if h14_syscalls::notices_lost_writes() {
        Verdict::Survived
    } else {
        Verdict::Wrong("h14 does not notice writes that never were".into())
    });
    report.count(if h15_processes::notices_a_second_writer() {
        Verdict::Survived
    } else {
        Verdict::Wrong("h15 does not notice a second writer".into())
    });
    for bug in [BucketBug::PutNewReplaces, BucketBug::LosesPuts] {
        let found = h16_objects::objects(&Budget::new(budget.seed, 5.0 * budget.secs), Some(bug));
        report.add("searched", found.injected);
        report.count(if found.failures.is_empty() {
            Verdict::Wrong(format!("h16 does not notice {bug:?} in {} trials", found.injected))
        } else {
            Verdict::Survived
        });
    }
    report.count(if h19_repair::notices_an_undeclared_loss() {
        Verdict::Survived
    } else {
        Verdict::Wrong("h19 does not notice a row that is gone and not declared".into())
    });
    hunt_in_schedules(budget, &mut report);
    hunt_in_file_systems(budget, &mut report);
    report.count(if sealed::notices_one_salt() {
        Verdict::Survived
    } else {
        Verdict::Wrong("nobody notices that one nonce serves two pieces".into())
    });
    report.count(if h10_history::notices_weak_isolation(budget.seed) {
        Verdict::Survived
    } else {
        Verdict::Wrong("h10 does not notice transactions that are not as isolated as they say".into())
    });
    report
}

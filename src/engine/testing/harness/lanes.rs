//! Runs trials on every core, each from a seed of its own, turns panics into verdicts, and ends the process when
//! nothing moves any more.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::report::{Budget, Report, Verdict};

/// Trials that ended, over all lanes: what the watchdog looks at.
static PROGRESS: AtomicU64 = AtomicU64::new(0);
/// Seconds without an end of a trial that count as a hang.
const HANG: u64 = 60;

/// Calls `trial` with fresh seeds until the time is spent. A trial counts its own verdicts into its lane's report.
pub fn run(budget: &Budget, trial: impl Fn(u64, &mut Report) + Sync) -> Report {
    let lanes = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(4) as u64;
    let (next, injected) = (AtomicU64::new(0), AtomicU64::new(0));
    let mut all = Report::default();
    std::thread::scope(|scope| {
        let lane = || {
            let mut report = Report::default();
            while budget.goes_on(injected.load(Ordering::Relaxed)) && report.failures.is_empty() {
                let before = report.injected;
                let seed = budget.seed.wrapping_add(next.fetch_add(1, Ordering::Relaxed));
                guarded(seed, &mut report, |report| trial(seed, report));
                injected.fetch_add(report.injected - before, Ordering::Relaxed);
            }
            report
        };
        let lanes: Vec<_> = (0..lanes).map(|_| scope.spawn(lane)).collect();
        for lane in lanes {
            all.merge(lane.join().unwrap_or_default());
        }
    });
    all
}

/// Runs `trial`, counting a panic as a crash.
pub fn guarded(seed: u64, report: &mut Report, trial: impl FnOnce(&mut Report)) {
    let outcome = catch_unwind(AssertUnwindSafe(|| trial(report)));
    PROGRESS.fetch_add(1, Ordering::Relaxed);
    if let Err(panic) = outcome {
        report.count(Verdict::Crash(format!("seed {seed}: {}", panic_text(&*panic))));
    }
}

/// Says that something went on, from within a long trial.
pub fn tick() {
    PROGRESS.fetch_add(1, Ordering::Relaxed);
}

/// What a panic said.
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "a panic".to_owned())
}

/// Ends the process, with the line of a hang, when no trial ends for a minute.
pub fn watch(harness: &'static str, budget: Budget) {
    std::thread::spawn(move || {
        let (mut seen, mut still) = (u64::MAX, 0);
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let now = PROGRESS.load(Ordering::Relaxed);
            still = if now == seen { still + 1 } else { 0 };
            seen = now;
            if still > HANG {
                let report = Report { injected: now, hang: 1, ..Report::default() };
                println!("{}", report.line(harness, &budget));
                std::process::exit(3);
            }
        }
    });
}

//! What an engine counts of its own work: for its system tables, and for whatever recorder of the crate `metrics` the
//! program has installed. Without one, a count costs one atomic addition.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::{Key, Level, Metadata};

/// A number that only grows while the database is open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Figure {
    /// Commits made visible.
    Commits,
    /// Groups of commits that shared a write of the log.
    CommitGroups,
    /// Bytes of log records.
    LoggedBytes,
    /// Syncs of the log.
    LogSyncs,
    /// Bytes of bulk appends, which skip the log.
    AppendedBytes,
    /// Flushes of memtables.
    Flushes,
    /// Bytes of files that flushes wrote.
    FlushedBytes,
    /// Compactions that were published.
    Compactions,
    /// Bytes of files that those read.
    CompactedBytesIn,
    /// Bytes of files that those wrote.
    CompactedBytesOut,
    /// Compactions and flushes that failed.
    MaintenanceFailures,
}

/// Every figure with its name in `metrics`, its unit and what it counts.
const ALL: [(Figure, &str, &str, &str); 11] = [
    (Figure::Commits, "trilith_commits_total", "commits", "Commits made visible"),
    (
        Figure::CommitGroups,
        "trilith_commit_groups_total",
        "groups",
        "Groups of commits that shared a write of the log",
    ),
    (Figure::LoggedBytes, "trilith_logged_bytes_total", "bytes", "Bytes of log records"),
    (Figure::LogSyncs, "trilith_log_syncs_total", "syncs", "Syncs of the log"),
    (
        Figure::AppendedBytes,
        "trilith_appended_bytes_total",
        "bytes",
        "Bytes of files that bulk appends wrote",
    ),
    (Figure::Flushes, "trilith_flushes_total", "flushes", "Flushes of memtables"),
    (Figure::FlushedBytes, "trilith_flushed_bytes_total", "bytes", "Bytes of files that flushes wrote"),
    (Figure::Compactions, "trilith_compactions_total", "compactions", "Compactions that were published"),
    (
        Figure::CompactedBytesIn,
        "trilith_compacted_in_bytes_total",
        "bytes",
        "Bytes of files that compactions read",
    ),
    (
        Figure::CompactedBytesOut,
        "trilith_compacted_out_bytes_total",
        "bytes",
        "Bytes of files that compactions wrote",
    ),
    (
        Figure::MaintenanceFailures,
        "trilith_maintenance_failures_total",
        "failures",
        "Flushes and compactions that failed and are tried again",
    ),
];

const ABOUT: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

/// One figure, for people.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: f64,
    /// What it is counted in.
    pub unit: &'static str,
    /// What it says.
    pub description: &'static str,
}

/// The figures of one engine.
#[derive(Debug, Default)]
pub struct Figures([AtomicU64; ALL.len()]);

impl Figures {
    /// Counts.
    pub fn add(&self, figure: Figure, count: u64) {
        let at = figure as usize;
        self.0[at].fetch_add(count, Ordering::Relaxed);
        let key = Key::from_static_name(ALL[at].1);
        metrics::with_recorder(|recorder| recorder.register_counter(&key, &ABOUT).increment(count));
    }

    /// What was counted so far.
    #[must_use]
    pub fn get(&self, figure: Figure) -> u64 {
        self.0[figure as usize].load(Ordering::Relaxed)
    }

    /// All of them.
    #[must_use]
    pub fn list(&self) -> Vec<Metric> {
        let metric = |&(figure, name, unit, description)| {
            let value = self.get(figure) as f64;
            Metric { name, value, unit, description }
        };
        ALL.iter().map(metric).collect()
    }
}

/// Tells a recorder how long something took.
pub fn record_duration(name: &'static str, took: Duration) {
    record(name, took.as_secs_f64());
}

/// Tells a recorder how large something was.
pub fn record_size(name: &'static str, size: usize) {
    record(name, size as f64);
}

/// The macros of the crate would look at the name anew each time.
fn record(name: &'static str, value: f64) {
    let key = Key::from_static_name(name);
    metrics::with_recorder(|recorder| recorder.register_histogram(&key, &ABOUT).record(value));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stand_at_their_places() {
        let figures = Figures::default();
        for (at, (figure, ..)) in ALL.iter().enumerate() {
            assert_eq!(*figure as usize, at);
            figures.add(*figure, at as u64 + 1);
        }
        let values: Vec<f64> = figures.list().iter().map(|metric| metric.value).collect();
        assert_eq!(values, (1..=ALL.len()).map(|n| n as f64).collect::<Vec<_>>());
    }
}

//! The compactions under way and the last ones that ended: at most one at a time per table.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use crate::common::sync::{self, AtomicBool, Condvar, Mutex};
use crate::common::{Error, Result, TableId};
use crate::format::table::TableName;

/// Ended compactions that are remembered.
const REMEMBERED: usize = 256;
/// How long a table is left alone after its compaction failed: doubled each time, up to the second figure.
const REST: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));

/// A compaction, for people.
#[derive(Clone, Debug)]
pub struct CompactionInfo {
    /// Counts the compactions since the database was opened.
    pub id: u64,
    /// The table.
    pub table: TableName,
    /// "overlap", "space", "small", "expired" or "manual".
    pub reason: &'static str,
    /// "running", "done", "cancelled" or "failed".
    pub state: &'static str,
    /// Level of the new files.
    pub level: u8,
    /// Files read.
    pub files_in: u64,
    /// Bytes of the files read.
    pub bytes_in: u64,
    /// Files written.
    pub files_out: u64,
    /// Bytes written so far.
    pub bytes_out: u64,
    /// When it started, by the system's clock.
    pub started: SystemTime,
    /// How long it has taken.
    pub duration: Duration,
    /// Why it failed.
    pub error: Option<String>,
}

#[derive(Debug)]
struct Running {
    info: CompactionInfo,
    since: Instant,
    cancelled: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct Book {
    next: u64,
    running: HashMap<TableId, Running>,
    ended: VecDeque<CompactionInfo>,
    /// Tables whose last compaction failed: when to try again, and how long the rest after that is.
    resting: HashMap<TableId, (Instant, Duration)>,
}

/// All compactions of an engine.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    book: Mutex<Book>,
    ended: Condvar,
}

impl Jobs {
    /// Claims a table for a compaction; `None` while another one has it.
    pub fn start(&self, table: TableId, info: CompactionInfo) -> Option<Job<'_>> {
        let mut book = self.book.lock();
        if book.running.contains_key(&table) {
            return None;
        }
        book.next += 1;
        let cancelled = Arc::new(AtomicBool::new(false));
        let info = CompactionInfo { id: book.next, ..info };
        let running = Running { info, since: sync::now(), cancelled: Arc::clone(&cancelled) };
        book.running.insert(table, running);
        Some(Job { jobs: self, table, cancelled, outcome: Err("it was dropped".to_owned()) })
    }

    /// True for a table that no compaction has, and that is not resting after a failure.
    pub fn is_free(&self, table: TableId) -> bool {
        let book = self.book.lock();
        let rests = book.resting.get(&table).is_some_and(|(until, _)| *until > sync::now());
        !rests && !book.running.contains_key(&table)
    }

    /// Tells the compaction of a table, or all of them, to stop.
    pub fn cancel(&self, table: Option<TableId>) {
        for (id, running) in &self.book.lock().running {
            if table.is_none_or(|table| table == *id) {
                running.cancelled.store(true, Ordering::Release);
            }
        }
    }

    /// Waits until no compaction has the table.
    pub fn wait(&self, table: TableId) {
        let mut book = self.book.lock();
        while book.running.contains_key(&table) {
            self.ended.wait(&mut book);
        }
    }

    /// Waits until there is no compaction.
    pub fn wait_for_all(&self) {
        let mut book = self.book.lock();
        while !book.running.is_empty() {
            self.ended.wait(&mut book);
        }
    }

    /// Those under way, then those that ended, the last first.
    pub fn list(&self) -> Vec<CompactionInfo> {
        let book = self.book.lock();
        let running = book
            .running
            .values()
            .map(|running| CompactionInfo { duration: sync::now() - running.since, ..running.info.clone() });
        let mut all: Vec<CompactionInfo> = running.collect();
        all.sort_by_key(|info| std::cmp::Reverse(info.id));
        all.extend(book.ended.iter().rev().cloned());
        all
    }
}

/// A claim on a table, given back when dropped.
#[derive(Debug)]
pub(super) struct Job<'a> {
    jobs: &'a Jobs,
    table: TableId,
    cancelled: Arc<AtomicBool>,
    outcome: std::result::Result<u64, String>,
}

impl Job<'_> {
    /// Notes bytes written.
    pub fn wrote(&self, bytes: u64) {
        if let Some(running) = self.jobs.book.lock().running.get_mut(&self.table) {
            running.info.bytes_out += bytes;
        }
    }

    /// True once somebody called [`Jobs::cancel`].
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Notes how it ended: with that many new files, or an error.
    pub fn end(mut self, outcome: &Result<u64>) {
        self.outcome = outcome.as_ref().map(|files| *files).map_err(Error::to_string);
    }
}

impl Drop for Job<'_> {
    fn drop(&mut self) {
        let mut book = self.jobs.book.lock();
        let Some(Running { mut info, since, .. }) = book.running.remove(&self.table) else { return };
        info.duration = sync::now() - since;
        match &self.outcome {
            Ok(files) => {
                (info.state, info.files_out) = ("done", *files);
                book.resting.remove(&self.table);
            }
            Err(_) if self.is_cancelled() => info.state = "cancelled",
            Err(error) => {
                (info.state, info.error) = ("failed", Some(error.clone()));
                let rest = book.resting.get(&self.table).map_or(REST.0, |(_, rest)| *rest);
                book.resting.insert(self.table, (sync::now() + rest, (rest * 2).min(REST.1)));
            }
        }
        book.ended.push_back(info);
        if book.ended.len() > REMEMBERED {
            book.ended.pop_front();
        }
        self.jobs.ended.notify_all();
    }
}

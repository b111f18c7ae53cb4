//! The compactions under way and the last ones that ended: at most one at a time per table.
//!
//! Whoever was asked to compact waits for its turn, behind others who were asked; a compaction that nobody asked for is sent
//! away by them, and begins none while they wait.

use std::cell::Cell;
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

/// Why a compaction is not to go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stop {
    /// Somebody called [`Jobs::cancel`], or waits for the table.
    CalledOff,
    /// The table is not what it was.
    Outdated,
}

#[derive(Debug)]
struct Running {
    /// `None` while it is being decided what to merge.
    info: Option<CompactionInfo>,
    /// Somebody waits for what comes of it.
    asked: bool,
    since: Instant,
    called_off: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct Book {
    next: u64,
    running: HashMap<TableId, Running>,
    /// How many wait for a table.
    awaited: HashMap<TableId, usize>,
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
    /// Claims a table for a compaction that was asked for: sends away one that was not, and waits for any other.
    pub fn claim(&self, table: TableId) -> Job<'_> {
        let mut book = self.book.lock();
        *book.awaited.entry(table).or_default() += 1;
        while let Some(running) = book.running.get(&table) {
            if !running.asked {
                running.called_off.store(true, Ordering::Release);
            }
            self.ended.wait(&mut book);
        }
        if let Some(others) = book.awaited.remove(&table).filter(|waiting| *waiting > 1) {
            book.awaited.insert(table, others - 1);
        }
        self.hold(&mut book, table, true)
    }

    /// Claims a table for a compaction that nobody asked for. `None` while another one has the table or is waited for, and
    /// while it is resting after a failure.
    pub fn try_claim(&self, table: TableId) -> Option<Job<'_>> {
        let mut book = self.book.lock();
        let rests = book.resting.get(&table).is_some_and(|(until, _)| *until > sync::now());
        let is_taken = book.running.contains_key(&table) || book.awaited.contains_key(&table);
        (!rests && !is_taken).then(|| self.hold(&mut book, table, false))
    }

    fn hold(&self, book: &mut Book, table: TableId, asked: bool) -> Job<'_> {
        let called_off = Arc::new(AtomicBool::new(false));
        let running = Running { info: None, asked, since: sync::now(), called_off: Arc::clone(&called_off) };
        book.running.insert(table, running);
        Job {
            jobs: self,
            table,
            called_off,
            outdated: Cell::new(false),
            outcome: Err("it was dropped".to_owned()),
        }
    }

    /// Tells all compactions to stop.
    pub fn cancel(&self) {
        for running in self.book.lock().running.values() {
            running.called_off.store(true, Ordering::Release);
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
        let running = book.running.values().filter_map(|running| {
            let info = running.info.clone()?;
            Some(CompactionInfo { duration: sync::now() - running.since, ..info })
        });
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
    called_off: Arc<AtomicBool>,
    outdated: Cell<bool>,
    outcome: std::result::Result<u64, String>,
}

impl Job<'_> {
    /// Tells what is merged. A claim for which nothing was to do leaves no trace.
    pub fn begin(&self, info: CompactionInfo) {
        let mut book = self.jobs.book.lock();
        book.next += 1;
        let info = CompactionInfo { id: book.next, ..info };
        if let Some(running) = book.running.get_mut(&self.table) {
            (running.info, running.since) = (Some(info), sync::now());
        }
    }

    /// Notes bytes written.
    pub fn wrote(&self, bytes: u64) {
        let mut book = self.jobs.book.lock();
        if let Some(info) = book.running.get_mut(&self.table).and_then(|running| running.info.as_mut()) {
            info.bytes_out += bytes;
        }
    }

    /// Notes that the table is not what it was.
    pub fn outdate(&self) {
        self.outdated.set(true);
    }

    /// Why it is not to go on.
    pub fn stop(&self) -> Option<Stop> {
        let called_off = self.called_off.load(Ordering::Acquire).then_some(Stop::CalledOff);
        self.outdated.get().then_some(Stop::Outdated).or(called_off)
    }

    /// Notes how it ended: with that many new files, or an error.
    pub fn end(mut self, outcome: &Result<u64>) {
        self.outcome = outcome.as_ref().map(|files| *files).map_err(Error::to_string);
    }
}

impl Drop for Job<'_> {
    fn drop(&mut self) {
        let mut book = self.jobs.book.lock();
        let running = book.running.remove(&self.table);
        self.jobs.ended.notify_all();
        let Some(Running { info: Some(mut info), since, .. }) = running else { return };
        info.duration = sync::now() - since;
        match &self.outcome {
            Ok(files) => {
                (info.state, info.files_out) = ("done", *files);
                book.resting.remove(&self.table);
            }
            Err(_) if self.stop().is_some() => info.state = "cancelled",
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
    }
}

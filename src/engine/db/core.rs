//! What an engine's parts share: the storage, the published state, and the locks, in the order they are taken.
//!
//! Lock order: `maintenance` (manifest edits: flush, compaction, DDL, bulk commits), then `writer` (commits), then
//! the queue, the recent commits, and the memtables' own. A failed write or sync poisons the engine: reads go on, writes
//! are refused.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::follow::Follower;
use super::group::CommitQueue;
use super::history::History;
use super::jobs::Jobs;
use super::manifest::{self, Manifest, PublishError, Stored};
use super::recent::Recent;
use super::snapshot::Snapshot;
use crate::common::sync::{ArcSwap, AtomicBool, Condvar, Mutex};
use crate::common::{ClosedReason, DatabaseId, Epoch, Error, Figures, FileId, Options, Result, SeqNo};
use crate::format::{Hash128, layout};
use crate::io::{LockGuard, Storage};
use crate::lsm::compaction::Pace;
use crate::lsm::{BlobPlan, FileNumbers, Output, Published, Retired, State, TableState};
use crate::wal::{WalEnd, WalWriter};

/// Manifests kept behind the live one.
pub(super) const MANIFESTS_KEPT: u64 = 2;

#[derive(Debug)]
pub(super) struct Core {
    pub storage: Arc<dyn Storage>,
    pub options: Options,
    pub database: DatabaseId,
    pub epoch: Epoch,
    pub numbers: FileNumbers,
    /// Manifests of this opening have numbers above this one.
    pub first_manifest: u64,
    pub published: ArcSwap<Published>,
    pub recent: Recent,
    /// How a read-only engine keeps up with the writer.
    pub follower: Mutex<Option<Follower>>,
    pub queue: CommitQueue,
    pub writer: Mutex<Writer>,
    pub maintenance: Mutex<Live>,
    /// Wakes the background thread, and writers that wait for a flush.
    pub work: (Mutex<()>, Condvar),
    /// What is counted.
    pub figures: Figures,
    /// The compactions under way.
    pub jobs: Jobs,
    /// How fast they may write.
    pub pace: Pace,
    /// Files that only snapshots hold.
    pub retired: Mutex<Vec<Retired>>,
    /// True while space is kept aside.
    pub reserve: AtomicBool,
    pub closed: AtomicBool,
    pub poisoned: AtomicBool,
    /// Poisoned because the writer lock was lost.
    pub fenced: AtomicBool,
    pub lock: Mutex<Option<Box<dyn LockGuard>>>,
    pub pid: u32,
}

/// The end of the log.
#[derive(Debug)]
pub(super) struct Writer {
    /// Opened at the first commit.
    pub wal: Option<WalWriter>,
    /// Where the log file before it ended.
    pub previous: Option<WalEnd>,
    /// The oldest log file with rows of the memtables being written; `None` while they are empty.
    pub first_log: Option<FileId>,
    /// The newest sequence number given out.
    pub seq: SeqNo,
    /// What it was when the memtables were last frozen.
    pub frozen: SeqNo,
}

/// The live manifest.
#[derive(Debug)]
pub(super) struct Live {
    pub manifest: Manifest,
    pub hash: Option<Hash128>,
    /// What past versions hold.
    pub history: History,
}

impl Core {
    /// Refuses calls on a closed or inherited handle.
    pub fn check_open(&self) -> Result<()> {
        if self.pid != std::process::id() {
            return Err(Error::Closed(ClosedReason::Forked));
        }
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::Closed(ClosedReason::Clean));
        }
        Ok(())
    }

    /// Refuses writes on a closed, inherited, read-only or poisoned handle.
    pub fn check_writable(&self) -> Result<()> {
        self.check_open()?;
        if self.options.read_only {
            let is_sealed = self.storage.is_sealed();
            return Err(Error::Closed(if is_sealed {
                ClosedReason::SingleFile
            } else {
                ClosedReason::ReadOnly
            }));
        }
        if self.poisoned.load(Ordering::Acquire) {
            let lost = || self.lock.lock().as_ref().map(|lock| lock.lost());
            let fenced = self.fenced.load(Ordering::Acquire).then(lost).flatten();
            return Err(fenced.unwrap_or(Error::Closed(ClosedReason::Poisoned)));
        }
        Ok(())
    }

    /// Of a holder of the writer lock: once closed, the log is that of whoever opens next.
    pub fn check_unpoisoned(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::Closed(ClosedReason::Clean));
        }
        if self.poisoned.load(Ordering::Acquire) {
            Err(Error::Closed(ClosedReason::Poisoned))
        } else {
            Ok(())
        }
    }

    /// Stops a writer whose lock no longer keeps others out.
    pub fn check_lock(&self) -> Result<()> {
        match &*self.lock.lock() {
            Some(lock) if !lock.is_held() => {
                self.fenced.store(true, Ordering::Release);
                self.stop();
                Err(lock.lost())
            }
            None if self.closed.load(Ordering::Acquire) => Err(Error::Closed(ClosedReason::Clean)),
            _ => Ok(()),
        }
    }

    /// Stops all writing: what the disk holds is unknown.
    pub fn poison(&self) {
        // It may be the loss of the lock that showed in a failure: then that is what later calls are told.
        let _ = self.check_lock();
        self.stop();
    }

    /// Closes the handle. Once this has returned, no call that is under way names, makes or removes a file: the lock may go.
    /// Compactions are told to end.
    pub fn end(&self) {
        let live = self.maintenance.lock();
        let writer = self.writer.lock();
        self.closed.store(true, Ordering::Release);
        self.numbers.end();
        drop((writer, live));
        self.jobs.cancel();
    }

    fn stop(&self) {
        self.poisoned.store(true, Ordering::Release);
        self.work.1.notify_all();
    }

    /// Every table as of the newest commit: of this engine, or of the writer that it follows.
    pub fn snapshot(&self) -> Result<Snapshot> {
        self.refresh()?;
        Ok(Snapshot::new(self.published.load_full()))
    }

    /// Sees what the writer that a read-only engine follows has committed since the last look.
    pub fn refresh(&self) -> Result<()> {
        if !self.options.read_only {
            return Ok(());
        }
        let mut follower = self.follower.lock();
        let Some(follower) = follower.as_mut() else { return Ok(()) };
        let now = self.published.load_full();
        if let Some(newer) = follower.refresh(&self.storage, &now)? {
            let mut live = self.maintenance.lock();
            if live.hash != Some(follower.stored().hash) {
                let Stored { manifest, hash, .. } = Stored::clone(follower.stored());
                (live.manifest, live.hash) = (manifest, Some(hash));
            }
            now.state.clock.raise(follower.stored().manifest.clock);
            self.published.store(Arc::new(newer.by(&now.state.clock)));
        }
        Ok(())
    }

    /// The time by which rows expire, in milliseconds since 1970.
    pub fn now(&self) -> i64 {
        self.published.load().state.clock.now()
    }

    /// Publishes another state as of commit `seq`. The caller holds the writer lock.
    pub fn publish_state(&self, state: State, seq: SeqNo) {
        self.published.store(Arc::new(Published::new(Arc::new(state), seq)));
    }

    /// Changes the published state in place of its tables. The caller holds the writer lock.
    pub fn edit_state(&self, edit: impl FnOnce(&mut State)) {
        let now = self.published.load_full();
        let mut state = State::clone(&now.state);
        edit(&mut state);
        self.publish_state(state, now.seq());
    }

    /// Writes the next manifest. On success the edit is durable; on `Err` nothing changed, or the engine is poisoned.
    pub fn edit_manifest(
        &self,
        live: &mut Live,
        edit: impl FnOnce(&mut Manifest) -> Result<()>,
    ) -> Result<()> {
        self.check_writable()?;
        let mut next = live.manifest.clone();
        edit(&mut next)?;
        next.number = next.number.max(self.first_manifest) + 1;
        next.previous = live.hash;
        next.epoch = self.epoch;
        next.next_file = self.numbers.peek();
        next.clock = self.now();
        let forgotten = live.retained().map_or_else(Vec::new, |before| next.remember(before));
        let unused = next.drop_unused_deletes();
        let publish = || manifest::publish(&*self.storage, self.database, &next, &|| self.check_lock());
        let published = match publish() {
            Err(PublishError::Unchanged(error)) if error.is_out_of_space() && self.release_reserve() => {
                publish()
            }
            published => published,
        };
        match published {
            Ok(hash) => {
                if next.history.last().is_some_and(|last| last.number == live.manifest.number) {
                    let now = self.published.load_full();
                    live.history.keep(&live.manifest, &now, self.storage.is_durable());
                }
                (live.manifest, live.hash) = (next, Some(hash));
                self.numbers.settle(live.manifest.files());
                self.remove_old(live, &forgotten, unused);
                Ok(())
            }
            Err(PublishError::Unchanged(error)) => Err(error),
            Err(PublishError::Unknown(error)) => {
                self.poison();
                Err(error)
            }
        }
    }

    /// What stays behind is an orphan, which the next opening removes.
    fn remove_old(&self, live: &mut Live, forgotten: &[u64], mut deletes: Vec<FileId>) {
        let Live { manifest, history, .. } = live;
        deletes.retain(|file| !history.needs(*file));
        let was_kept = forgotten.iter().any(|number| history.get(*number).is_some());
        for number in forgotten {
            deletes.extend(history.forget(*number, manifest));
        }
        self.remove_manifests(manifest, forgotten);
        if was_kept {
            self.remove_logs(manifest.oldest_log());
        }
        let state = Arc::clone(&self.published.load().state);
        for file in state.tables.values().flat_map(|table| table.files.iter()) {
            if file.stored_deletes().is_some_and(|stored| deletes.contains(&stored.file)) {
                // A snapshot may not have read it yet. What cannot be read now could not be read later.
                let _ = file.deletes();
            }
        }
        for file in deletes {
            let _ = self.storage.remove(&layout::del(file));
        }
    }

    fn remove_manifests(&self, live: &Manifest, forgotten: &[u64]) {
        let Some(past) = live.number.checked_sub(MANIFESTS_KEPT + 1) else { return };
        let settled = forgotten.iter().copied().filter(|number| *number < past);
        for number in settled.chain([past]) {
            if live.history.iter().all(|entry| entry.number != number) {
                let _ = self.storage.remove(&layout::manifest(number));
            }
        }
    }

    /// A writer of sorted files for `table`, whose rows were committed within `range`.
    pub fn output(&self, table: &TableState, range: (SeqNo, SeqNo)) -> Output {
        let sizes = (self.options.batch_rows, self.options.file_bytes);
        Output::new(
            Arc::clone(&self.storage),
            self.database,
            self.numbers.clone(),
            Arc::clone(&table.def),
            sizes,
            range,
        )
        .separating(BlobPlan::fresh(self.options.blob_bytes))
    }

    /// Makes new files' names durable, before a manifest names them.
    pub fn sync_files(&self) -> Result<()> {
        layout::NAMED_DIRS.iter().try_for_each(|dir| self.storage.sync_dir(dir))
    }
}

//! The engine: a durable store of Arrow tables, without SQL.

mod indexes;
mod keys;
mod versions;

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::appender::{Appender, WriteMode};
use super::backup::{BackupReport, CopyMode, OnProgress};
use super::batch::WriteBatch;
use super::core::Core;
use super::ddl::{AlterTable, IfExists, TableSpec};
use super::files::{FileInfo, table_files};
use super::jobs::CompactionInfo;
use super::open::open_core;
use super::snapshot::Snapshot;
use super::stats::TableStats;
use super::transaction::{Isolation, Transaction};
use super::vacuum::VacuumReport;
use crate::common::sync::{self, Mutex, Thread};
use crate::common::{ClosedReason, Error, Metric, Options, Result, SeqNo};
use crate::format::layout;
use crate::format::table::{TableDef, TableName};
use crate::io::{MemoryStorage, Storage};

/// Log bytes that a clean close leaves to be replayed; more are flushed to files.
const CLOSE_REPLAY_BYTES: usize = 1 << 20;
/// Log files that a clean close leaves to be replayed.
const CLOSE_LOGS: usize = 8;
/// How long the background thread sleeps when nobody wakes it.
const IDLE: Duration = Duration::from_millis(200);
/// How long it sleeps at most after a failure.
const REST_MAX: Duration = Duration::from_secs(2);

/// An open database. Shared as `Arc<Engine>`; every method may be called from any thread.
#[derive(Debug)]
pub struct Engine {
    core: Arc<Core>,
    background: Mutex<Vec<Thread>>,
}

impl Engine {
    /// Opens or creates the database in a folder. One process opening one path twice shares one engine.
    ///
    /// # Errors
    /// `NotFound`, `Invalid` for a path that holds something else, `Busy` when another process writes to it,
    /// `Key` when the encryption key is missing, wrong or not wanted, `Corrupt`, `Unsupported`, `Io`.
    pub fn open_path(path: &Path, options: Options) -> Result<Arc<Self>> {
        super::registry::open_path(path, options)
    }

    /// A database that lives and dies with the process.
    ///
    /// # Errors
    /// `Invalid` for an encryption key, as there is no disk to keep secrets from.
    pub fn in_memory(options: Options) -> Result<Arc<Self>> {
        Self::open(Arc::new(MemoryStorage::new()), options)
    }

    /// Opens or creates the database in `storage`.
    ///
    /// # Errors
    /// As [`Engine::open_path`].
    pub fn open(storage: Arc<dyn Storage>, options: Options) -> Result<Arc<Self>> {
        let core = Arc::new(open_core(storage, options)?);
        let engine = Arc::new(Self { core, background: Mutex::default() });
        if engine.core.options.background && !engine.core.options.read_only {
            engine.start_background()?;
        }
        Ok(engine)
    }

    fn start_background(&self) -> Result<()> {
        for (name, task) in BACKGROUND {
            let core = Arc::downgrade(&self.core);
            let thread = sync::spawn(name, move || in_background(&core, task));
            let failed = |e| Error::io("start a thread for", self.core.storage.describe(), e);
            self.background.lock().push(thread.map_err(failed)?);
        }
        Ok(())
    }

    /// Every table as of the newest commit, for as long as the snapshot is held.
    ///
    /// # Errors
    /// `Closed` on a closed or inherited handle.
    pub fn snapshot(&self) -> Result<Snapshot> {
        self.core.check_open()?;
        self.core.snapshot()
    }

    /// Commits a batch over any number of tables: all of it or nothing, durable as it asks.
    ///
    /// # Errors
    /// `AlreadyExists` for a duplicate key, `Conflict` when a row it is based on changed, `NotFound` when a table was
    /// dropped, `Closed`, and `Io` when the disk refuses, after which the engine takes no more writes.
    pub fn commit(&self, batch: WriteBatch) -> Result<SeqNo> {
        self.core.commit(batch)
    }

    /// Begins a transaction over any number of tables.
    ///
    /// # Errors
    /// `Closed` on a closed or inherited handle.
    pub fn begin(&self, isolation: Isolation) -> Result<Arc<Transaction>> {
        Transaction::begin(&self.core, isolation, false)
    }

    /// Begins a transaction that reads one snapshot and refuses to write.
    ///
    /// # Errors
    /// `Closed` on a closed or inherited handle.
    pub fn begin_read_only(&self) -> Result<Arc<Transaction>> {
        Transaction::begin(&self.core, Isolation::Serializable, true)
    }

    /// Starts a bulk write of any length, which becomes one commit.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` for an upsert without a primary key; `Closed`.
    pub fn appender(&self, table: &TableName, mode: WriteMode) -> Result<Appender> {
        Appender::new(Arc::clone(&self.core), table, mode)
    }

    /// Creates a table.
    ///
    /// # Errors
    /// `AlreadyExists`; `Invalid` for names, types or keys that cannot be.
    pub fn create_table(&self, spec: &TableSpec, exists: IfExists) -> Result<Arc<TableDef>> {
        self.core.create_table(spec, exists)
    }

    /// Drops a table. Snapshots that see it keep it.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn drop_table(&self, name: &TableName) -> Result<()> {
        self.core.drop_table(name)
    }

    /// Changes a table's definition; no file is rewritten.
    ///
    /// # Errors
    /// `NotFound`, `AlreadyExists`, `Invalid`.
    pub fn alter_table(&self, name: &TableName, change: &AlterTable) -> Result<Arc<TableDef>> {
        self.core.alter_table(name, change)
    }

    /// Creates a schema.
    ///
    /// # Errors
    /// `AlreadyExists`, `Invalid`.
    pub fn create_schema(&self, name: &str, if_not_exists: bool) -> Result<()> {
        self.core.create_schema(name, if_not_exists)
    }

    /// Drops an empty schema.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` while it holds tables.
    pub fn drop_schema(&self, name: &str) -> Result<()> {
        self.core.drop_schema(name)
    }

    /// Writes everything committed so far to sorted files.
    ///
    /// # Errors
    /// When the disk refuses; nothing is lost then.
    pub fn flush(&self) -> Result<()> {
        self.core.check_writable()?;
        self.core.freeze(&mut self.core.writer.lock())?;
        self.core.flush_frozen()
    }

    /// Flushes, then merges every table's files into one sorted run. Never needed: compaction is automatic.
    ///
    /// # Errors
    /// When the disk refuses; nothing is lost then.
    pub fn compact(&self) -> Result<()> {
        self.flush()?;
        let state = Arc::clone(&self.core.published.load().state);
        state.tables.values().try_for_each(|table| self.core.compact_table(table.def.id))
    }

    /// Rewrites every file that holds deleted, replaced or expired rows, now, and removes files that nothing names. Once it
    /// has returned, the bytes of such rows are in no file, except where a snapshot reads it, or a past version that a tag
    /// or the retention keeps needs it. Never needed for space: compaction gives that back in time.
    ///
    /// # Errors
    /// When the disk refuses; nothing is lost then.
    pub fn vacuum(&self) -> Result<VacuumReport> {
        self.core.vacuum()
    }

    /// Stops the compactions under way; they leave nothing behind, and begin again where they are still due. A call of
    /// [`Engine::compact`] or [`Engine::vacuum`] that is stopped fails with `Conflict`.
    pub fn cancel_compactions(&self) {
        self.core.jobs.cancel();
    }

    /// The compactions under way, and the last ones that ended since the database was opened, newest first.
    #[must_use]
    pub fn compactions(&self) -> Vec<CompactionInfo> {
        self.core.jobs.list()
    }

    /// Does what the background threads do, once: flushes what is frozen and compacts where it is due.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn maintain(&self) -> Result<bool> {
        let flushed = flush_once(&self.core)?;
        Ok(compact_once(&self.core)? || flushed)
    }

    /// Copies the database as of now into the folder `path`, which is then a database itself, while writers go on. A
    /// second backup into the folder brings only what is new.
    ///
    /// # Errors
    /// `Invalid` when the folder holds anything but an earlier backup of this database; `Busy` when that is open
    /// for writing; `Corrupt` when a file of the database is not what was written; what `progress` returns. The folder is
    /// as it was then.
    pub fn backup(&self, path: &Path, mode: CopyMode, progress: OnProgress<'_>) -> Result<BackupReport> {
        self.core.check_open()?;
        self.core.backup(super::backup::local_target(path)?, mode, progress)
    }

    /// [`Engine::backup`] into any storage.
    ///
    /// # Errors
    /// As [`Engine::backup`].
    pub fn backup_to(
        &self,
        target: Arc<dyn Storage>,
        mode: CopyMode,
        progress: OnProgress<'_>,
    ) -> Result<BackupReport> {
        self.core.backup(target, mode, progress)
    }

    /// Ends the engine: everything acknowledged is on disk, and the writer lock is free. Further calls fail with
    /// `Closed`; a second close does nothing.
    ///
    /// # Errors
    /// When the disk refuses, or has refused an earlier write; opening again recovers.
    pub fn close(&self) -> Result<()> {
        if self.core.pid != std::process::id() || self.core.closed.load(Ordering::Acquire) {
            return Ok(());
        }
        let sealed = match self.core.check_writable() {
            Ok(()) => self.seal(),
            Err(Error::Closed(ClosedReason::ReadOnly | ClosedReason::SingleFile | ClosedReason::Clean)) => {
                Ok(())
            }
            // What was acknowledged below the level `group` may be gone.
            Err(error) => Err(error),
        };
        self.core.end();
        self.core.work.1.notify_all();
        let background = std::mem::take(&mut *self.background.lock());
        for thread in background {
            if !thread.is_this() {
                // After a panic there is nothing left to save.
                thread.join();
            }
        }
        self.core.jobs.wait_for_all();
        self.core.release_reserve();
        self.core.maintenance.lock().history.close();
        self.core.lock.lock().take();
        sealed
    }

    /// Leaves a short log behind, whose end the manifest records, so that a cut is found when it is opened.
    fn seal(&self) -> Result<()> {
        let unflushed = self.core.published.load().state.memtable_bytes();
        let logs = self.core.storage.list(layout::WAL_DIR)?.len();
        if unflushed == 0 || unflushed > CLOSE_REPLAY_BYTES || logs > CLOSE_LOGS {
            return self.flush();
        }
        let mut live = self.core.maintenance.lock();
        let mut writer = self.core.writer.lock();
        let Some(wal) = &mut writer.wal else { return Ok(()) };
        wal.sync().inspect_err(|_| self.core.poison())?;
        wal.trim();
        let end = wal.end();
        self.core.edit_manifest(&mut live, |manifest| {
            manifest.wal_sealed = Some(end);
            Ok(())
        })?;
        (writer.wal, writer.previous) = (None, Some(end));
        Ok(())
    }

    /// Every table's files and memtables in figures.
    #[must_use]
    pub fn table_stats(&self) -> Vec<TableStats> {
        self.core.table_stats()
    }

    /// What was counted since the database was opened, and the amplifications that follow. The counts also go to the
    /// recorder of the crate `metrics`, when the program has installed one.
    #[must_use]
    pub fn metrics(&self) -> Vec<Metric> {
        self.core.metrics()
    }

    /// False once closed.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.core.check_open().is_ok()
    }

    /// How it was opened.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.core.options
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> String {
        self.core.storage.describe()
    }

    /// Number of the live manifest: counts the changes of tables and files.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.core.maintenance.lock().manifest.number
    }

    /// The files and memtables of every table.
    #[must_use]
    pub fn files(&self) -> Vec<FileInfo> {
        let state = Arc::clone(&self.core.published.load().state);
        state.tables.values().flat_map(|table| table_files(table)).collect()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Whoever wants the outcome calls close.
        let _ = self.close();
    }
}

/// What is done without being asked, each in a thread of its own, so that no flush waits for a merge.
const BACKGROUND: [(&str, Task); 2] =
    [("trilith-flush", flush_and_reserve), ("trilith-compact", compact_once)];

type Task = fn(&Core) -> Result<bool>;

fn flush_once(core: &Core) -> Result<bool> {
    let frozen = core.has_frozen();
    if frozen {
        core.flush_frozen()?;
    }
    Ok(frozen)
}

fn flush_and_reserve(core: &Core) -> Result<bool> {
    core.keep_reserve();
    core.sync_buffered().and_then(|()| flush_once(core))
}

fn compact_once(core: &Core) -> Result<bool> {
    let forgot = core.forget_versions()?;
    Ok(core.compact_where_due()? || forgot)
}

/// Runs until the engine is gone. A failure is tried again: the log and the files still hold everything.
fn in_background(core: &Weak<Core>, task: Task) {
    let mut rest = IDLE;
    while let Some(core) = core.upgrade() {
        if core.check_writable().is_err() {
            return;
        }
        rest = match task(&core) {
            Ok(true) => continue,
            Ok(false) => IDLE,
            Err(_) => (rest * 2).min(REST_MAX),
        };
        let mut guard = core.work.0.lock();
        core.work.1.wait_for(&mut guard, rest);
    }
}

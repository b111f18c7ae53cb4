//! The engine: a durable store of Arrow tables, without SQL.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;

use super::appender::{Appender, WriteMode};
use super::batch::WriteBatch;
use super::core::Core;
use super::ddl::{AlterTable, IfExists, TableSpec};
use super::history::Tag;
use super::open::open_core;
use super::snapshot::Snapshot;
use super::transaction::{Isolation, Transaction};
use crate::common::{ClosedReason, Error, Options, Result, Retention, SeqNo};
use crate::format::layout;
use crate::format::table::{TableDef, TableName};
use crate::io::{MemoryStorage, Storage};

/// Log bytes that a clean close leaves to be replayed; more are flushed to files.
const CLOSE_REPLAY_BYTES: usize = 1 << 20;
/// Log files that a clean close leaves to be replayed.
const CLOSE_LOGS: usize = 8;
/// How long the background thread sleeps when nobody wakes it.
const IDLE: Duration = Duration::from_millis(200);

/// An open database. Shared as `Arc<Engine>`; every method may be called from any thread.
#[derive(Debug)]
pub struct Engine {
    core: Arc<Core>,
    background: Mutex<Option<JoinHandle<()>>>,
}

/// One file of a table, for people.
#[derive(Clone, Debug)]
pub struct FileInfo {
    /// The table.
    pub table: TableName,
    /// Path within the database.
    pub path: String,
    /// "sst", or "memtable" for rows that no file holds yet.
    pub kind: &'static str,
    /// Bytes on disk, or in memory for a memtable.
    pub bytes: u64,
    /// Rows in it.
    pub rows: u64,
    /// Rows of it that are deleted or replaced.
    pub dead_rows: u64,
    /// Oldest commit with a row in it.
    pub min_seq: SeqNo,
    /// Newest commit with a row in it.
    pub max_seq: SeqNo,
}

impl Engine {
    /// Opens or creates the database in a folder. One process opening one path twice shares one engine.
    ///
    /// # Errors
    /// `NotFound`, `Invalid` for a path that holds something else, `Busy` when another process writes to it,
    /// `Corrupt`, `Unsupported`, `Io`.
    pub fn open_path(path: &Path, options: Options) -> Result<Arc<Self>> {
        super::registry::open_path(path, options)
    }

    /// A database that lives and dies with the process.
    ///
    /// # Errors
    /// None that a caller can cause.
    pub fn in_memory(options: Options) -> Result<Arc<Self>> {
        Self::open(Arc::new(MemoryStorage::new()), options)
    }

    /// Opens or creates the database in `storage`.
    ///
    /// # Errors
    /// As [`Engine::open_path`].
    pub fn open(storage: Arc<dyn Storage>, options: Options) -> Result<Arc<Self>> {
        let core = Arc::new(open_core(storage, options)?);
        let engine = Arc::new(Self { core, background: Mutex::new(None) });
        if engine.core.options.background && !engine.core.options.read_only {
            engine.start_background()?;
        }
        Ok(engine)
    }

    fn start_background(&self) -> Result<()> {
        let core = Arc::downgrade(&self.core);
        let thread = std::thread::Builder::new()
            .name("trilith-maintenance".into())
            .spawn(move || maintain_in_background(&core));
        let thread = thread.map_err(|e| Error::io("start a thread for", self.core.storage.describe(), e))?;
        *self.background.lock() = Some(thread);
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
        state.tables.values().try_for_each(|table| self.core.compact_table(table))
    }

    /// Does what the background thread does, once: flushes what is frozen and compacts where it is due.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn maintain(&self) -> Result<bool> {
        maintain(&self.core)
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
            // What was acknowledged below the level `group` may be gone.
            Err(error @ Error::Closed(ClosedReason::Poisoned | ClosedReason::Fenced)) => Err(error),
            Err(_) => Ok(()),
        };
        self.core.closed.store(true, Ordering::Release);
        self.core.work.1.notify_all();
        let background = self.background.lock().take();
        if let Some(thread) = background.filter(|thread| thread.thread().id() != std::thread::current().id())
        {
            // A panic there has been reported by the panic hook; there is nothing left to save.
            let _ = thread.join();
        }
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

    /// Every table as of commit `version`, for as long as the snapshot is held. Readable are the newest commit, those
    /// that the retention covers, and those that a tag names; others perhaps, until they are cleaned up. It costs the
    /// reading of one manifest and of the log from there, at most one memtable of it.
    ///
    /// # Errors
    /// `NotFound` when the version is not kept, or not there yet; `Closed`, `Corrupt`, `Io`.
    pub fn at(&self, version: SeqNo) -> Result<Snapshot> {
        self.core.at(version)
    }

    /// Names the newest commit and returns it: it can be read until the name is dropped. Flushes.
    ///
    /// # Errors
    /// `AlreadyExists`; `Invalid` for a name that cannot be; `Closed`, `Io`.
    pub fn create_tag(&self, name: &str) -> Result<SeqNo> {
        self.core.create_tag(name)
    }

    /// Takes a name away; what it alone kept leaves the disk.
    ///
    /// # Errors
    /// `NotFound`, `Closed`, `Io`.
    pub fn drop_tag(&self, name: &str) -> Result<()> {
        self.core.drop_tag(name)
    }

    /// The tags, oldest version first.
    ///
    /// # Errors
    /// `Closed`; as [`Engine::snapshot`] for a reader.
    pub fn tags(&self) -> Result<Vec<Tag>> {
        self.core.tags()
    }

    /// Changes which versions are kept beside the tagged ones. The setting is part of the database; a new one keeps none.
    ///
    /// # Errors
    /// `Closed`, `Io`.
    pub fn set_retention(&self, retention: Retention) -> Result<()> {
        self.core.set_retention(retention)
    }

    /// Which versions are kept beside the tagged ones.
    #[must_use]
    pub fn retention(&self) -> Retention {
        self.core.maintenance.lock().manifest.retention
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

fn table_files(table: &crate::lsm::TableState) -> Vec<FileInfo> {
    let name = || table.def.name.clone();
    let mut files: Vec<FileInfo> = table
        .files
        .iter()
        .map(|file| FileInfo {
            table: name(),
            path: layout::sst(file.id()),
            kind: "sst",
            bytes: file.bytes(),
            rows: file.info().rows,
            dead_rows: file.dead_rows(),
            min_seq: file.info().min_seq,
            max_seq: file.max_seq(),
        })
        .collect();
    files.extend(table.memtables().filter(|memtable| !memtable.is_empty()).map(|memtable| FileInfo {
        table: name(),
        path: String::new(),
        kind: "memtable",
        bytes: memtable.bytes() as u64,
        rows: u64::from(memtable.len()),
        dead_rows: 0,
        min_seq: memtable.first_seq().unwrap_or_default(),
        max_seq: memtable.last_seq().unwrap_or_default(),
    }));
    files
}

fn maintain(core: &Core) -> Result<bool> {
    let frozen = core.has_frozen();
    if frozen {
        core.flush_frozen()?;
    }
    Ok(core.compact_where_due()? || frozen)
}

/// Runs until the engine is gone. A failure is tried again: the log still holds everything.
fn maintain_in_background(core: &Weak<Core>) {
    while let Some(core) = core.upgrade() {
        if core.check_writable().is_err() {
            return;
        }
        if matches!(maintain(&core), Ok(true)) {
            continue;
        }
        let mut guard = core.work.0.lock();
        core.work.1.wait_for(&mut guard, IDLE);
    }
}

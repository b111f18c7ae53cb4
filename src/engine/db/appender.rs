//! A bulk write of any length as one commit, in bounded memory.
//!
//! Little input goes through the log like every commit. Once it passes `direct_append_bytes`, rows are sorted in
//! runs and written as SSTables at once, without a log: the manifest that names the files is the commit. Until then
//! the files are orphans that nobody reads.

use std::sync::Arc;

use arrow::array::{BinaryArray, RecordBatch};
use arrow::compute::concat_batches;
use roaring::RoaringBitmap;

use super::appended::{live_keys_in, overlap, sorted};
use super::batch::{WriteBatch, duplicate, encode_keys};
use super::conform::conform;
use super::core::Core;
use super::maintenance::record_files;
use super::recent::Written;
use super::stamp::stamp;
use super::transaction::{Pledge, Transaction};
use super::view::TableView;
use crate::common::{Error, Figure, FileId, Result, RowId, SeqNo};
use crate::format::size::batch_bytes;
use crate::format::table::{TableDef, TableName};
use crate::lsm::{Output, TableFile, TableState};
use crate::memtable::{ChunkKeys, Keys};
use crate::sstable::{SortedKeys, SstInfo};

/// What happens to a key that is there already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WriteMode {
    /// It is an error.
    Insert,
    /// The new row replaces the old one.
    Upsert,
}

/// A bulk write under way. Dropped before [`Appender::finish`], it leaves nothing behind that anybody sees.
#[derive(Debug)]
pub struct Appender {
    core: Arc<Core>,
    table: Arc<TableState>,
    mode: WriteMode,
    held: Vec<RecordBatch>,
    held_bytes: usize,
    runs: Vec<SstInfo>,
    output: Option<Output>,
    rows: u64,
    /// The transaction that it is part of.
    transaction: Option<Pledge>,
    unpublished: Unpublished,
}

/// Files that no manifest names yet: dropped, they are removed.
#[derive(Debug)]
struct Unpublished(Arc<Core>, Vec<FileId>);

impl Drop for Unpublished {
    fn drop(&mut self) {
        self.0.forget_files(&self.1);
    }
}

impl Appender {
    pub(super) fn new(core: Arc<Core>, name: &TableName, mode: WriteMode) -> Result<Self> {
        core.check_writable()?;
        let table = Arc::clone(core.published.load().state.table(name)?);
        Self::to(core, table, mode)
    }

    /// Writes within a transaction, to a table as that sees it.
    pub(super) fn within(
        core: Arc<Core>,
        table: Arc<TableState>,
        mode: WriteMode,
        transaction: Arc<Transaction>,
    ) -> Result<Self> {
        Ok(Self { transaction: Some(Pledge::new(transaction)), ..Self::to(core, table, mode)? })
    }

    fn to(core: Arc<Core>, table: Arc<TableState>, mode: WriteMode) -> Result<Self> {
        if mode == WriteMode::Upsert && !table.def.is_keyed() {
            return Err(Error::invalid(
                format!("table {}", table.def.name),
                "upsert needs a primary key, and it has none",
            ));
        }
        let unpublished = Unpublished(Arc::clone(&core), Vec::new());
        Ok(Self {
            core,
            table,
            mode,
            held: Vec::new(),
            held_bytes: 0,
            runs: Vec::new(),
            output: None,
            rows: 0,
            transaction: None,
            unpublished,
        })
    }

    /// The table it writes to.
    #[must_use]
    pub fn def(&self) -> &Arc<TableDef> {
        &self.table.def
    }

    /// Adds rows.
    ///
    /// # Errors
    /// As [`WriteBatch::insert`]; after an error the append cannot be finished.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let rows = conform(&self.table.def, rows)?;
        self.rows += rows.num_rows() as u64;
        self.held_bytes += batch_bytes(&rows);
        self.held.push(rows);
        if self.transaction.is_some() {
            return self.check_held();
        }
        let run_bytes = if self.table.def.is_keyed() {
            self.core.options.file_bytes / 2
        } else {
            self.core.options.direct_append_bytes
        };
        if self.held_bytes >= run_bytes.max(self.core.options.direct_append_bytes) {
            self.spill()?;
        }
        Ok(())
    }

    /// What a transaction holds is in memory until it commits.
    fn check_held(&self) -> Result<()> {
        let max = self.core.options.transaction_bytes;
        if self.held_bytes <= max {
            return Ok(());
        }
        let what = "an append within a transaction, in bytes (append outside of it, or open the database with a higher limit)";
        Err(Error::Limit { what: what.into(), got: self.held_bytes as u64, max: max as u64 })
    }

    /// Commits everything written, and returns the number of rows.
    ///
    /// # Errors
    /// `AlreadyExists` for a duplicate key in insert mode; otherwise as a commit. Nothing was written then.
    pub fn finish(mut self) -> Result<u64> {
        if let Some(pledge) = self.transaction.take() {
            pledge.keep(self.batch()?)?;
        } else if self.runs.is_empty() && self.output.is_none() {
            self.commit_through_log()?;
        } else {
            self.spill()?;
            self.commit_files()?;
        }
        Ok(self.rows)
    }

    fn commit_through_log(&mut self) -> Result<()> {
        match self.batch()? {
            Some(batch) => self.core.commit(batch).map(|_| ()),
            None => Ok(()),
        }
    }

    /// The held rows.
    fn batch(&self) -> Result<Option<WriteBatch>> {
        if self.held.is_empty() {
            return Ok(None);
        }
        let rows = concat_batches(&self.table.def.schema(), &self.held)?;
        let mut batch = WriteBatch::new();
        match self.mode {
            WriteMode::Insert => batch.insert(&self.table.def, &rows)?,
            WriteMode::Upsert => batch.upsert(&self.table.def, &rows)?,
        }
        Ok(Some(batch))
    }

    /// Writes the held rows out: as a sorted run of its own, or at the end of the one file of a keyless table.
    fn spill(&mut self) -> Result<()> {
        let held = std::mem::take(&mut self.held);
        self.held_bytes = 0;
        if held.is_empty() {
            return Ok(());
        }
        if self.table.def.is_keyed() {
            return self.spill_run(&held);
        }
        let output = self.output.get_or_insert_with(|| self.core.output(&self.table, Default::default()));
        for rows in &held {
            let first = self
                .table
                .next_row_id
                .fetch_add(rows.num_rows() as u64, std::sync::atomic::Ordering::Relaxed);
            output.write(rows, &Keys::Fresh(RowId(first), rows.num_rows() as u32).into_arrays())?;
        }
        Ok(())
    }

    fn spill_run(&mut self, held: &[RecordBatch]) -> Result<()> {
        let rows = concat_batches(&self.table.def.schema(), held)?;
        let Some(ChunkKeys::Encoded(keys)) = encode_keys(&self.table.def, &rows)? else { return Ok(()) };
        let (rows, keys) = sorted(&self.table.def, self.mode, rows, keys)?;
        let mut output = self.core.output(&self.table, Default::default());
        output.write(&rows, &ChunkKeys::Encoded(keys))?;
        self.take_over(output)
    }

    fn commit_files(&mut self) -> Result<()> {
        if let Some(output) = self.output.take() {
            self.take_over(output)?;
        }
        let core = Arc::clone(&self.core);
        core.store_derived(&self.table, &self.runs);
        let mut live = core.maintenance.lock();
        core.check_writable()?;
        let table = self.present_table()?;
        let mut files = core.open_files(&table.def, std::mem::take(&mut self.runs), &[])?;
        self.settle_runs(&mut files)?;
        let old = self.settle_old_files(&table, &files)?;
        let mut writer = core.writer.lock();
        let table = self.present_table()?;
        let shadows = self.shadows(&table, &files)?;
        // This commit is durable as soon as the manifest is; those before it must not be missing then.
        core.sync_log(&mut writer)?;
        let seq = writer.seq.next();
        let files = stamp(&core, &table.def, files, seq)?;
        core.adopt(&table, &files);
        let old_files = old.len();
        core.published.load().state.times.note(seq, core.now());
        let all = self.publish(&mut live, &table, old, files, seq)?;
        self.unpublished.1.clear();
        let bytes = all[old_files..].iter().map(|file| file.bytes()).sum();
        core.figures.add(Figure::AppendedBytes, bytes);
        self.note_written(seq, &all);
        if let Some(keys) = shadows {
            // Within the active memtable older entries are superseded; those of frozen ones must be searched for.
            let fresh = table.frozen.is_empty();
            table.active.push(seq, ChunkKeys::Encoded(keys), None, fresh)?;
        }
        writer.seq = seq;
        let now = core.published.load_full();
        let mut state = crate::lsm::State::clone(&now.state);
        state.put(Arc::new(table.replace(Some(all), table.frozen.clone(), Arc::clone(&table.active))));
        core.publish_state(state, seq);
        Ok(())
    }

    /// Tells serializable transactions which keys came.
    fn note_written(&self, seq: SeqNo, files: &[Arc<TableFile>]) {
        let written = |file: &Arc<TableFile>| match self.table.def.is_keyed() {
            true => Written::Between(file.info().min_key.clone(), file.info().max_key.clone()),
            false => Written::NewRows,
        };
        let files = files.iter().filter(|file| file.info().min_seq == seq);
        let writes = files.map(|file| (self.table.def.id, written(file)));
        self.core.recent.note(seq, writes, &self.core.published);
    }

    fn take_over(&mut self, output: Output) -> Result<()> {
        let files = output.finish()?;
        self.unpublished.1.extend(self.core.new_files(&files));
        self.runs.extend(files);
        Ok(())
    }

    fn present_table(&self) -> Result<Arc<TableState>> {
        let state = Arc::clone(&self.core.published.load().state);
        let name = || self.table.def.name.to_string();
        let table = state
            .table_by_id(self.table.def.id)
            .ok_or_else(|| Error::NotFound { entity: "table", name: name() })?;
        if table.def.version != self.table.def.version {
            return Err(Error::Conflict { table: name() });
        }
        Ok(Arc::clone(table))
    }

    /// Of rows with one key in several runs, the last run's counts; in insert mode that is an error.
    fn settle_runs(&self, files: &mut [Arc<TableFile>]) -> Result<()> {
        for newer in 1..files.len() {
            let (older, rest) = files.split_at_mut(newer);
            for file in older.iter_mut().filter(|file| overlap(file, &rest[0])) {
                let hidden = self.hidden_by(file, std::slice::from_ref(&rest[0]), |_| Ok(true))?;
                if !hidden.is_empty() {
                    *file = Arc::new(file.with_bitmap(&**file.deletes()? | &hidden));
                }
            }
        }
        Ok(())
    }

    /// The table's files as they are after the append.
    fn settle_old_files(
        &self,
        table: &Arc<TableState>,
        files: &[Arc<TableFile>],
    ) -> Result<Vec<Arc<TableFile>>> {
        if !self.table.def.is_keyed() {
            return Ok(table.files.to_vec());
        }
        // A memtable may know that the row of a file is deleted.
        let newest = TableView::new(Arc::clone(table), SeqNo(u64::MAX)).at(self.core.now());
        let mut settled = Vec::with_capacity(table.files.len());
        for old in table.files.iter() {
            let hidden = self.hidden_by(old, files, |key| newest.contains(key))?;
            settled.push(if hidden.is_empty() {
                Arc::clone(old)
            } else {
                Arc::new(old.with_bitmap(&**old.deletes()? | &hidden))
            });
        }
        Ok(settled)
    }

    /// Rows of `old` whose keys are in `files`; in insert mode one whose key `is_there` is an error.
    fn hidden_by(
        &self,
        old: &TableFile,
        files: &[Arc<TableFile>],
        is_there: impl Fn(&[u8]) -> Result<bool>,
    ) -> Result<RoaringBitmap> {
        let mut hidden = RoaringBitmap::new();
        for file in files.iter().filter(|file| overlap(old, file)) {
            let reader = file.reader()?;
            for batch in 0..reader.num_batches() {
                let keys = SortedKeys::new(reader.keys(batch)?)?;
                for (i, row) in old.find_live_many(&keys)? {
                    if self.mode == WriteMode::Insert && is_there(keys.key(i))? {
                        return Err(duplicate(&self.table.def, keys.key(i)));
                    }
                    hidden.insert(row as u32);
                }
            }
        }
        Ok(hidden)
    }

    /// Keys in memtables that the new files replace. They get a deletion stamped with the append's own sequence
    /// number, which hides the old rows and not the new ones.
    fn shadows(&self, table: &Arc<TableState>, files: &[Arc<TableFile>]) -> Result<Option<BinaryArray>> {
        if !table.def.is_keyed() {
            return Ok(None);
        }
        let newest = TableView::new(Arc::clone(table), SeqNo(u64::MAX)).at(self.core.now());
        let mut keys: Vec<Vec<u8>> = Vec::new();
        for memtable in table.memtables() {
            for key in live_keys_in(memtable, files)? {
                if self.mode == WriteMode::Insert && newest.contains(&key)? {
                    return Err(duplicate(&self.table.def, &key));
                }
                keys.push(key);
            }
        }
        keys.sort();
        keys.dedup();
        Ok((!keys.is_empty()).then(|| BinaryArray::from_iter_values(keys)))
    }

    fn publish(
        &self,
        live: &mut super::core::Live,
        table: &TableState,
        old: Vec<Arc<TableFile>>,
        new: Vec<Arc<TableFile>>,
        seq: SeqNo,
    ) -> Result<Vec<Arc<TableFile>>> {
        let mut all: Vec<Arc<TableFile>> = old.into_iter().chain(new).collect();
        let stored = self.core.store_bitmaps(all.iter_mut())?;
        self.core.sync_files()?;
        let next_row_id = table.next_row_id.load(std::sync::atomic::Ordering::Relaxed);
        self.core.edit_manifest(live, |manifest| {
            manifest.deletes.extend(stored);
            // This manifest is the commit.
            manifest.serve_from(seq, &self.core.published.load().state.times);
            record_files(manifest, table.def.id, &all, next_row_id)
        })?;
        Ok(all)
    }
}

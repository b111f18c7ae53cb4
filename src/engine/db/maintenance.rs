//! Flush: what turns the log and memtables into sorted files, without being asked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::core::{Core, Live, Writer};
use super::manifest::{FileRecord, Manifest};
use crate::common::{Figure, FileId, Result, SeqNo, TableId, record_duration};
use crate::format::deletes::{self, DeletesInfo};
use crate::format::layout;
use crate::format::table::TableDef;
use crate::lsm::{KnownBlobs, State, TableFile, TableState, flush_memtable, remove_files};
use crate::memtable::MemTable;
use crate::sstable::{KeySpec, SstInfo};

/// The frozen memtables at one moment, and where the log of everything after them starts.
pub(super) struct Captured {
    state: Arc<State>,
    wal_start: FileId,
    /// The newest commit in them.
    frozen: SeqNo,
}

/// A table whose memtables went to files that no manifest names yet.
struct Flushed {
    table: TableId,
    memtables: Vec<Arc<MemTable>>,
    files: Vec<Arc<TableFile>>,
    last_seq: SeqNo,
    /// Bytes of the new files.
    bytes: u64,
}

impl Core {
    /// Writes every frozen memtable to files.
    pub fn flush_frozen(&self) -> Result<()> {
        self.flush_frozen_in(&mut self.maintenance.lock())
    }

    /// [`Core::flush_frozen`] for a caller who holds the maintenance lock.
    pub fn flush_frozen_in(&self, live: &mut Live) -> Result<()> {
        let captured = self.capture(&self.writer.lock());
        let flushed = self.flush_captured(live, &captured)?;
        let writer = self.writer.lock();
        self.swap_flushed(flushed);
        drop(writer);
        self.work.1.notify_all();
        Ok(())
    }

    /// Freezes and writes everything, while commits wait. The caller holds both locks.
    pub fn flush_all(&self, live: &mut Live, writer: &mut Writer) -> Result<()> {
        self.freeze(writer)?;
        let captured = self.capture(writer);
        let flushed = self.flush_captured(live, &captured)?;
        self.swap_flushed(flushed);
        Ok(())
    }

    fn capture(&self, writer: &Writer) -> Captured {
        let wal_start = writer.first_log.unwrap_or_else(|| self.numbers.peek());
        Captured { state: Arc::clone(&self.published.load().state), wal_start, frozen: writer.frozen }
    }

    /// Writes the captured memtables and publishes the files. What a failure leaves is removed: the space may be what
    /// was missing.
    fn flush_captured(&self, live: &mut Live, captured: &Captured) -> Result<Vec<Flushed>> {
        let (mut written, start) = (Vec::new(), Instant::now());
        let flushed = self.write_captured(live, captured, &mut written);
        match &flushed {
            Ok(tables) if tables.is_empty() => {}
            Ok(tables) => self.note_flushed(tables, start.elapsed()),
            Err(_) => {
                self.figures.add(Figure::MaintenanceFailures, 1);
                self.forget_files(&written);
            }
        }
        flushed
    }

    fn note_flushed(&self, flushed: &[Flushed], took: Duration) {
        let bytes = flushed.iter().map(|table| table.bytes).sum();
        self.figures.add(Figure::Flushes, 1);
        self.figures.add(Figure::FlushedBytes, bytes);
        record_duration("trilith_flush_seconds", took);
        tracing::debug!(tables = flushed.len(), bytes, ?took, "flushed");
    }

    /// Removes files that no manifest names. With the engine poisoned one may, so they stay.
    pub fn forget_files(&self, files: &[FileId]) {
        if self.check_writable().is_ok() {
            self.numbers.while_ours(|| remove_files(&*self.storage, files));
            self.numbers.settle(files.iter().copied());
        }
    }

    /// Removes those of the files just written that their manifest did not name: every row of them was dead already.
    pub fn forget_unnamed(&self, written: &[FileId]) {
        let unnamed: Vec<FileId> =
            written.iter().copied().filter(|file| self.numbers.is_unnamed(*file)).collect();
        self.forget_files(&unnamed);
    }

    fn write_captured(
        &self,
        live: &mut Live,
        captured: &Captured,
        written: &mut Vec<FileId>,
    ) -> Result<Vec<Flushed>> {
        let tables = captured.state.tables.values().filter(|table| !table.frozen.is_empty());
        let mut flushed = tables.map(|table| self.flush_table(table, written)).collect::<Result<Vec<_>>>()?;
        let logs_left = live.manifest.wal_start.is_some_and(|start| start < captured.wal_start);
        if flushed.is_empty() && !logs_left && live.manifest.wal_start.is_some() {
            return Ok(flushed);
        }
        let stored = self.store_bitmaps(flushed.iter_mut().flat_map(|table| &mut table.files))?;
        written.extend(stored.iter().map(|info| info.file));
        self.sync_files()?;
        self.edit_manifest(live, |manifest| {
            manifest.deletes.extend(stored);
            manifest.wal_start = Some(captured.wal_start);
            manifest.wal_sealed = None;
            if !flushed.is_empty() {
                manifest.serve_from(captured.frozen, &captured.state.times);
            }
            for table in &flushed {
                manifest.flushed_seq = manifest.flushed_seq.max(table.last_seq);
                let next_row_id = captured
                    .state
                    .table_by_id(table.table)
                    .map_or(0, |state| state.next_row_id.load(Ordering::Relaxed));
                record_files(manifest, table.table, &table.files, next_row_id)?;
            }
            Ok(())
        })?;
        self.forget_unnamed(written);
        self.remove_logs(live.manifest.oldest_log());
        captured.state.times.forget_before(live.manifest.as_of);
        Ok(flushed)
    }

    /// Writes a table's frozen memtables, oldest first.
    fn flush_table(&self, table: &Arc<TableState>, written: &mut Vec<FileId>) -> Result<Flushed> {
        let mut state = Arc::clone(table);
        let (mut last_seq, mut bytes) = (SeqNo(0), 0);
        while let Some(memtable) = state.frozen.first() {
            let range = (memtable.first_seq().unwrap_or_default(), memtable.last_seq().unwrap_or_default());
            last_seq = last_seq.max(range.1);
            let output = flush_memtable(&state, self.output(&state, range))?;
            written.extend(self.new_files(&output.files));
            bytes += self.new_bytes(&output.files);
            let mut files: Vec<Arc<TableFile>> = state.files.to_vec();
            for (position, bitmap) in output.deletes {
                files[position] = Arc::new(files[position].with_bitmap(bitmap));
            }
            self.store_derived(&state, &output.files);
            let new = self.open_files(&state.def, output.files, &state.files)?;
            self.adopt(&state, &new);
            files.extend(new);
            let frozen = state.frozen[1..].to_vec();
            state = Arc::new(state.replace(Some(files), frozen, Arc::clone(&state.active)));
        }
        let files = drop_dead(state.files.to_vec());
        Ok(Flushed { table: table.def.id, memtables: table.frozen.clone(), files, last_seq, bytes })
    }

    /// Puts every bitmap that is not stored yet into one file. The caller holds the maintenance lock.
    pub fn store_bitmaps<'a>(
        &self,
        files: impl Iterator<Item = &'a mut Arc<TableFile>>,
    ) -> Result<Option<DeletesInfo>> {
        self.check_writable()?;
        let unstored: Vec<&mut Arc<TableFile>> = files.filter(|file| file.is_unstored()).collect();
        if unstored.is_empty() {
            return Ok(None);
        }
        let mut bitmaps = Vec::with_capacity(unstored.len());
        for file in &unstored {
            bitmaps.push((file.id(), &**file.deletes()?));
        }
        let number = self.numbers.begin();
        let write = || {
            self.storage.remove(&layout::del(number))?;
            deletes::write(&*self.storage, self.database, number, &bitmaps)
        };
        let info = self.with_reserve(write).inspect_err(|_| self.forget_files(&[number]))?;
        for file in unstored {
            *file = Arc::new(file.stored_in(info));
        }
        Ok(Some(info))
    }

    /// Readers see the files in place of the memtables. The caller holds the writer lock.
    fn swap_flushed(&self, flushed: Vec<Flushed>) {
        if flushed.is_empty() {
            return;
        }
        self.edit_state(|state| {
            for done in flushed {
                let Some(table) = state.table_by_id(done.table).map(Arc::clone) else { continue };
                self.retire_missing(&table.files, &done.files);
                let is_done = |memtable: &Arc<MemTable>| {
                    done.memtables.iter().any(|flushed| Arc::ptr_eq(flushed, memtable))
                };
                let frozen =
                    table.frozen.iter().filter(|memtable| !is_done(memtable)).map(Arc::clone).collect();
                state.put(Arc::new(table.replace(Some(done.files), frozen, Arc::clone(&table.active))));
            }
        });
    }

    /// Files of a table, as versions hold them. They share blob files with the `others`, which may refer to the same.
    pub fn open_files(
        &self,
        table: &TableDef,
        files: Vec<SstInfo>,
        others: &[Arc<TableFile>],
    ) -> Result<Vec<Arc<TableFile>>> {
        let (key, mut known) = (key_spec(table)?, KnownBlobs::of(others));
        let open = |info| {
            let storage = Arc::clone(&self.storage);
            Arc::new(TableFile::new(storage, self.database, info, key.clone(), &mut known))
        };
        Ok(files.into_iter().map(open).collect())
    }

    /// Bytes of SSTables just written, and of the blob files written with them.
    pub fn new_bytes(&self, files: &[SstInfo]) -> u64 {
        let blobs = files.iter().flat_map(|info| &info.blobs).map(|used| (used.blob.file, used.blob.len));
        let new: BTreeMap<FileId, u64> = blobs.filter(|(file, _)| self.numbers.is_unnamed(*file)).collect();
        files.iter().map(|info| info.data_len + info.sum_len).sum::<u64>() + new.values().sum::<u64>()
    }

    /// Numbers of SSTables just written, and of the blob files written with them.
    pub fn new_files(&self, files: &[SstInfo]) -> Vec<FileId> {
        let blobs = files.iter().flat_map(|info| &info.blobs).map(|used| used.blob.file);
        let new = blobs.filter(|file| self.numbers.is_unnamed(*file));
        files.iter().map(|info| info.file).chain(new).collect()
    }

    pub fn remove_logs(&self, before: FileId) {
        for name in self.storage.list(layout::WAL_DIR).unwrap_or_default() {
            if let Some(file) = layout::file_number(&name).filter(|file| *file < before) {
                // A log that stays behind is removed by the next flush or opening.
                let _ = self.storage.remove(&layout::wal(file));
            }
        }
    }

    /// Lets the files go that the next version does not hold.
    pub fn retire_missing(&self, before: &[Arc<TableFile>], after: &[Arc<TableFile>]) {
        let missing = before.iter().filter(|file| !after.iter().any(|kept| kept.id() == file.id()));
        let mut retired = self.retired.lock();
        retired.retain(|file| file.held().is_some());
        // A merge that was under way may bring back what the last file let go of.
        after.iter().for_each(|file| file.keep_blobs());
        for file in missing {
            retired.push(file.retire());
            retired.extend(file.retire_blobs(after));
        }
    }

    /// True when memtables wait for a flush.
    pub fn has_frozen(&self) -> bool {
        self.published.load().state.tables.values().any(|table| !table.frozen.is_empty())
    }
}

/// How files of a table are keyed; `None` for a keyless one.
pub(super) fn key_spec(table: &TableDef) -> Result<Option<KeySpec>> {
    if !table.is_keyed() {
        return Ok(None);
    }
    Ok(Some(KeySpec { columns: table.primary_key.clone(), codec: Arc::new(table.key_codec()?.clone()) }))
}

/// Files without a live row are left out of the next version.
pub(super) fn drop_dead(files: Vec<Arc<TableFile>>) -> Vec<Arc<TableFile>> {
    files.into_iter().filter(|file| file.live_rows() > 0).collect()
}

/// Writes a table's files into the manifest.
pub(super) fn record_files(
    manifest: &mut Manifest,
    id: TableId,
    files: &[Arc<TableFile>],
    next_row_id: u64,
) -> Result<()> {
    let record = manifest.table_mut(id)?;
    record.next_row_id = record.next_row_id.max(next_row_id);
    record.files = files
        .iter()
        .map(|file| FileRecord {
            sst: file.info().clone(),
            dead: file.dead_rows(),
            deletes: file.stored_deletes().map(|info| info.file),
            level: file.level(),
        })
        .collect();
    Ok(())
}

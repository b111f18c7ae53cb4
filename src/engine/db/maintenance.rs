//! Flush and compaction: what turns the log and memtables into few, sorted files, without being asked.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::core::{Core, Live, Writer};
use super::manifest::{FileRecord, Manifest};
use crate::common::{FileId, Result, SeqNo, TableId};
use crate::format::deletes::{self, DeletesInfo};
use crate::format::layout;
use crate::format::table::TableDef;
use crate::index::is_coded;
use crate::lsm::compaction::{Choice, Compacted, FileShape, choose, compact_files};
use crate::lsm::{State, TableFile, TableState, flush_memtable};
use crate::memtable::MemTable;
use crate::sstable::{KeySpec, SstInfo};

/// The frozen memtables at one moment, and where the log of everything after them starts.
pub(super) struct Captured {
    state: Arc<State>,
    wal_start: FileId,
}

/// A table, and those of its files to merge.
type Due = (Arc<TableState>, Vec<Arc<TableFile>>);

/// A table whose memtables went to files that no manifest names yet.
struct Flushed {
    table: TableId,
    memtables: Vec<Arc<MemTable>>,
    files: Vec<Arc<TableFile>>,
    last_seq: SeqNo,
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
        let wal_start = writer.wal.as_ref().map_or_else(|| self.numbers.peek(), |wal| wal.end().file);
        Captured { state: Arc::clone(&self.published.load().state), wal_start }
    }

    fn flush_captured(&self, live: &mut Live, captured: &Captured) -> Result<Vec<Flushed>> {
        let tables = captured.state.tables.values().filter(|table| !table.frozen.is_empty());
        let mut flushed = tables.map(|table| self.flush_table(table)).collect::<Result<Vec<_>>>()?;
        let logs_left = live.manifest.wal_start.is_some_and(|start| start < captured.wal_start);
        if flushed.is_empty() && !logs_left && live.manifest.wal_start.is_some() {
            return Ok(flushed);
        }
        let stored = self.store_bitmaps(flushed.iter_mut().flat_map(|table| &mut table.files))?;
        self.sync_files()?;
        self.edit_manifest(live, |manifest| {
            manifest.deletes.extend(stored);
            manifest.wal_start = Some(captured.wal_start);
            manifest.wal_sealed = None;
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
        self.remove_logs(captured.wal_start);
        Ok(flushed)
    }

    /// Writes a table's frozen memtables, oldest first.
    fn flush_table(&self, table: &Arc<TableState>) -> Result<Flushed> {
        let mut state = Arc::clone(table);
        let mut last_seq = SeqNo(0);
        while let Some(memtable) = state.frozen.first() {
            let range = (memtable.first_seq().unwrap_or_default(), memtable.last_seq().unwrap_or_default());
            last_seq = last_seq.max(range.1);
            let output = flush_memtable(&state, self.output(&state, range))?;
            let mut files: Vec<Arc<TableFile>> = state.files.to_vec();
            for (position, bitmap) in output.deletes {
                files[position] = Arc::new(files[position].with_bitmap(bitmap));
            }
            self.store_codes(&state.def, &output.files);
            files.extend(self.open_files(&state.def, output.files)?);
            let frozen = state.frozen[1..].to_vec();
            state = Arc::new(state.replace(Some(files), frozen, Arc::clone(&state.active)));
        }
        let files = drop_dead(state.files.to_vec());
        Ok(Flushed { table: table.def.id, memtables: table.frozen.clone(), files, last_seq })
    }

    /// Puts every bitmap that is not stored yet into one file.
    pub fn store_bitmaps<'a>(
        &self,
        files: impl Iterator<Item = &'a mut Arc<TableFile>>,
    ) -> Result<Option<DeletesInfo>> {
        let unstored: Vec<&mut Arc<TableFile>> = files.filter(|file| file.is_unstored()).collect();
        if unstored.is_empty() {
            return Ok(None);
        }
        let mut bitmaps = Vec::with_capacity(unstored.len());
        for file in &unstored {
            bitmaps.push((file.id(), &**file.deletes()?));
        }
        let info = deletes::write(&*self.storage, self.database, self.numbers.take(), &bitmaps)?;
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
                retire_missing(&table.files, &done.files);
                let is_done = |memtable: &Arc<MemTable>| {
                    done.memtables.iter().any(|flushed| Arc::ptr_eq(flushed, memtable))
                };
                let frozen =
                    table.frozen.iter().filter(|memtable| !is_done(memtable)).map(Arc::clone).collect();
                state.put(Arc::new(table.replace(Some(done.files), frozen, Arc::clone(&table.active))));
            }
        });
    }

    /// Files of a table, as versions hold them.
    pub fn open_files(&self, table: &TableDef, files: Vec<SstInfo>) -> Result<Vec<Arc<TableFile>>> {
        let key = key_spec(table)?;
        let open =
            |info| Arc::new(TableFile::new(Arc::clone(&self.storage), self.database, info, key.clone()));
        Ok(files.into_iter().map(open).collect())
    }

    /// Writes the codes of new files' vectors. A search makes those that a disk refused.
    pub fn store_codes(&self, table: &TableDef, files: &[SstInfo]) {
        if !table.columns.iter().any(|column| is_coded(column.field.data_type()).is_some()) {
            return;
        }
        for file in self.open_files(table, files.to_vec()).unwrap_or_default() {
            let _ = file.store_codes();
        }
    }

    fn remove_logs(&self, before: FileId) {
        for name in self.storage.list(layout::WAL_DIR).unwrap_or_default() {
            if let Some(file) = layout::file_number(&name).filter(|file| *file < before) {
                // A log that stays behind is removed by the next flush or opening.
                let _ = self.storage.remove(&layout::wal(file));
            }
        }
    }

    /// Merges files until the strategy is content. True when it did anything.
    pub fn compact_where_due(&self) -> Result<bool> {
        let mut worked = false;
        while let Some((table, inputs)) = self.next_compaction() {
            self.compact_inputs(&table, inputs)?;
            worked = true;
        }
        Ok(worked)
    }

    fn next_compaction(&self) -> Option<Due> {
        let state = Arc::clone(&self.published.load().state);
        state.tables.values().find_map(|table| {
            let shapes: Vec<FileShape> = table.files.iter().map(|file| shape(table, file)).collect();
            match choose(&shapes, self.options.file_bytes as u64) {
                Choice::Nothing => None,
                Choice::Merge(members) => {
                    Some((Arc::clone(table), members.iter().map(|&i| Arc::clone(&table.files[i])).collect()))
                }
            }
        })
    }

    /// Merges all of a table's settled files into one run.
    pub fn compact_table(&self, table: &Arc<TableState>) -> Result<()> {
        let inputs: Vec<Arc<TableFile>> =
            table.files.iter().filter(|file| shape(table, file).settled).map(Arc::clone).collect();
        let is_clean = inputs.len() == 1 && inputs[0].dead_rows() == 0;
        if inputs.is_empty() || is_clean { Ok(()) } else { self.compact_inputs(table, inputs) }
    }

    /// Merges those of the files that are settled into one run.
    pub fn compact_files_of(&self, table: &Arc<TableState>, files: Vec<Arc<TableFile>>) -> Result<()> {
        let inputs: Vec<_> = files.into_iter().filter(|file| shape(table, file).settled).collect();
        if inputs.is_empty() { Ok(()) } else { self.compact_inputs(table, inputs) }
    }

    fn compact_inputs(&self, table: &Arc<TableState>, inputs: Vec<Arc<TableFile>>) -> Result<()> {
        let min = inputs.iter().map(|file| file.info().min_seq).min().unwrap_or_default();
        let max = inputs.iter().map(|file| file.max_seq()).max().unwrap_or_default();
        let keep_going = || {
            self.check_writable()?;
            if self.has_frozen() { self.flush_frozen() } else { Ok(()) }
        };
        let compacted = compact_files(&table.def, inputs, self.output(table, (min, max)), &keep_going)?;
        self.store_codes(&table.def, &compacted.files);
        self.publish_compacted(table.def.id, compacted)
    }

    /// True when memtables wait for a flush.
    pub fn has_frozen(&self) -> bool {
        self.published.load().state.tables.values().any(|table| !table.frozen.is_empty())
    }

    fn publish_compacted(&self, id: TableId, compacted: Compacted) -> Result<()> {
        let mut live = self.maintenance.lock();
        let state = Arc::clone(&self.published.load().state);
        let Some(table) = state.table_by_id(id).filter(|table| holds_all(table, &compacted)) else {
            return self.discard(&compacted);
        };
        let mut outputs = self.open_files(&table.def, compacted.files.clone())?;
        let deleted = compacted.deleted_meanwhile(&table.def, &table.files, &outputs)?;
        for (file, deleted) in outputs.iter_mut().zip(deleted).filter(|(_, deleted)| !deleted.is_empty()) {
            *file = Arc::new(file.with_bitmap(deleted));
        }
        let stored = self.store_bitmaps(outputs.iter_mut())?;
        let inputs = compacted.input_ids();
        let mut files: Vec<Arc<TableFile>> =
            table.files.iter().filter(|file| !inputs.contains(&file.id())).map(Arc::clone).collect();
        files.extend(drop_dead(outputs));
        self.sync_files()?;
        self.edit_manifest(&mut live, |manifest| {
            manifest.deletes.extend(stored);
            let next_row_id = manifest.table_mut(id)?.next_row_id;
            record_files(manifest, id, &files, next_row_id)
        })?;
        let _writer = self.writer.lock();
        self.edit_state(|state| {
            if let Some(table) = state.table_by_id(id).map(Arc::clone) {
                retire_missing(&table.files, &files);
                state.put(Arc::new(table.replace(
                    Some(files),
                    table.frozen.clone(),
                    Arc::clone(&table.active),
                )));
            }
        });
        Ok(())
    }

    /// The table was dropped or rewritten meanwhile: nobody wants the new files.
    fn discard(&self, compacted: &Compacted) -> Result<()> {
        for info in &compacted.files {
            self.storage.remove(&layout::sst(info.file))?;
            self.storage.remove(&layout::sum(info.file))?;
        }
        Ok(())
    }
}

/// How files of a table are keyed; `None` for a keyless one.
pub(super) fn key_spec(table: &TableDef) -> Result<Option<KeySpec>> {
    if !table.is_keyed() {
        return Ok(None);
    }
    Ok(Some(KeySpec { columns: table.primary_key.clone(), codec: Arc::new(table.key_codec()?.clone()) }))
}

fn shape(table: &TableState, file: &TableFile) -> FileShape {
    let settled = table.oldest_unflushed().is_none_or(|oldest| file.max_seq() < oldest);
    FileShape { bytes: file.bytes(), rows: file.info().rows, dead: file.dead_rows(), settled }
}

fn holds_all(table: &TableState, compacted: &Compacted) -> bool {
    compacted.inputs.iter().all(|input| table.files.iter().any(|file| file.id() == input.id()))
}

/// Files without a live row are left out of the next version.
fn drop_dead(files: Vec<Arc<TableFile>>) -> Vec<Arc<TableFile>> {
    files.into_iter().filter(|file| file.live_rows() > 0).collect()
}

/// Lets the files go that the next version does not hold.
pub(super) fn retire_missing(before: &[Arc<TableFile>], after: &[Arc<TableFile>]) {
    for file in before.iter().filter(|file| !after.iter().any(|kept| kept.id() == file.id())) {
        file.retire();
    }
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
        })
        .collect();
    Ok(())
}

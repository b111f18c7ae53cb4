//! Opening: the live manifest, and the log after it.
//!
//! Replay stops at the torn tail of the newest log file; damage anywhere else is an error. Recovery changes no file: it
//! only starts the next log file, so a crash inside it changes nothing, however often.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::BinaryArray;
use arrow::buffer::Buffer;

use super::appended::live_keys_in;
use super::batch::{encode_keys, key_codec, row_id_batch};
use super::commit::row_ids;
use super::conform::key_schema;
use super::maintenance::key_spec;
use super::manifest::{Manifest, TableRecord};
use crate::common::{DatabaseId, Epoch, Error, FileId, Result, SeqNo};
use crate::format::commit::{LoggedOp, OpKind, decode};
use crate::format::layout;
use crate::format::table::TableName;
use crate::io::Storage;
use crate::lsm::{State, TableFile, TableState};
use crate::memtable::ChunkKeys;
use crate::wal::{self, ReplayBound, WalTail, WalWriter, read_header};

/// What the log gave back.
#[derive(Debug)]
pub(super) struct Recovered {
    pub state: State,
    /// The newest commit.
    pub seq: SeqNo,
    /// The log file that goes on from there; `None` when nothing is written.
    pub wal: Option<WalWriter>,
    /// What the newest log file held.
    pub tail: Option<WalTail>,
}

/// Rebuilds the state that `manifest` and the log describe. With `next`, also starts the log file of that number
/// and epoch: it carries what is perhaps not durable yet, so that nothing shown to a reader is lost afterwards.
pub(super) fn recover(
    storage: &Arc<dyn Storage>,
    database: DatabaseId,
    manifest: &Manifest,
    next: Option<(FileId, Epoch)>,
) -> Result<Recovered> {
    let mut state = State { schemas: manifest.schemas.iter().cloned().collect(), ..State::default() };
    for record in &manifest.tables {
        state.put(Arc::new(open_table(storage, database, manifest, record)?));
    }
    let newest_file =
        state.tables.values().flat_map(|table| table.files.iter()).map(|file| file.max_seq()).max();
    let mut replay = Replay::new(state, manifest.flushed_seq);
    let files = log_files(&**storage, manifest)?;
    check_first(&**storage, database, manifest, &files)?;
    let bound = newest_bound(manifest, &files)?;
    let mut visit = |seq, payload: Buffer| replay.commit(seq, &payload);
    let (wal, tail) = match next {
        Some(next) => {
            let recovered = wal::recover(&**storage, &files, database, bound, next, &mut visit)?;
            (Some(recovered.writer), recovered.tail)
        }
        None => (None, wal::replay_chain(&**storage, &files, database, bound, &mut visit)?),
    };
    replay.shadow_before(SeqNo(u64::MAX))?;
    let seq = replay.seq.max(newest_file.unwrap_or_default());
    Ok(Recovered { state: replay.state, seq, wal, tail })
}

fn open_table(
    storage: &Arc<dyn Storage>,
    database: DatabaseId,
    manifest: &Manifest,
    record: &TableRecord,
) -> Result<TableState> {
    let def = Arc::new(record.def.clone().derive());
    let key = key_spec(&def)?;
    let mut files = Vec::with_capacity(record.files.len());
    for file in &record.files {
        let stored = match file.deletes {
            None => None,
            Some(id) => {
                Some(manifest.deletes.iter().find(|info| info.file == id).cloned().ok_or_else(|| {
                    Error::corrupt(
                        layout::manifest(manifest.number),
                        0,
                        format!("it does not describe {}", layout::del(id)),
                    )
                })?)
            }
        };
        let opened = TableFile::with_stored(
            Arc::clone(storage),
            database,
            file.sst.clone(),
            key.clone(),
            stored,
            file.dead,
        );
        files.push(Arc::new(opened.at_level(file.level)));
    }
    Ok(TableState::new(def, files, record.next_row_id))
}

/// The log files to replay, oldest first.
pub(super) fn log_files(storage: &dyn Storage, manifest: &Manifest) -> Result<Vec<FileId>> {
    let start = manifest.wal_start.unwrap_or_default();
    let names = storage.list(layout::WAL_DIR)?;
    let logs =
        names.iter().filter(|name| name.ends_with(".wal")).filter_map(|name| layout::file_number(name));
    let mut files: Vec<FileId> = logs.filter(|file| *file >= start).collect();
    files.sort_unstable();
    Ok(files)
}

/// The first log continues one that is needed no more, or a log is missing.
fn check_first(
    storage: &dyn Storage,
    database: DatabaseId,
    manifest: &Manifest,
    files: &[FileId],
) -> Result<()> {
    let Some(&first) = files.first() else { return Ok(()) };
    let before = read_header(storage, first, database)?.prev.map(|end| end.file);
    match before.filter(|before| *before >= manifest.wal_start.unwrap_or_default()) {
        Some(before) => {
            let what = format!("it is missing, and {} continues it", layout::wal(first));
            Err(Error::corrupt(layout::wal(before), 0, what))
        }
        None => Ok(()),
    }
}

/// After a clean close, the manifest knows where the newest log file ends, and that it must be there.
fn newest_bound(manifest: &Manifest, files: &[FileId]) -> Result<ReplayBound> {
    let Some(sealed) = manifest.wal_sealed else { return Ok(ReplayBound::Open) };
    if !files.contains(&sealed.file) {
        return Err(Error::corrupt(
            layout::wal(sealed.file),
            0,
            "it is missing, and commits that it holds are in no other file",
        ));
    }
    Ok(if files.last() == Some(&sealed.file) { ReplayBound::Exact(sealed) } else { ReplayBound::Open })
}

/// A file of a bulk append, and its table.
type BulkFile = (TableName, Arc<TableFile>);

struct Replay {
    state: State,
    flushed: SeqNo,
    seq: SeqNo,
    /// Bulk appends that the log does not hold, by sequence number: they replace older rows that it does.
    bulk: BTreeMap<SeqNo, Vec<BulkFile>>,
}

impl Replay {
    fn new(state: State, flushed: SeqNo) -> Self {
        let mut bulk: BTreeMap<SeqNo, Vec<BulkFile>> = BTreeMap::new();
        for table in state.tables.values().filter(|table| table.def.is_keyed()) {
            for file in table.files.iter().filter(|file| file.info().min_seq > flushed) {
                bulk.entry(file.info().min_seq).or_default().push((table.def.name.clone(), Arc::clone(file)));
            }
        }
        Self { state, flushed, seq: flushed, bulk }
    }

    fn commit(&mut self, seq: SeqNo, payload: &Buffer) -> Result<()> {
        if seq <= self.flushed {
            return Ok(());
        }
        self.shadow_before(seq)?;
        for op in decode(payload)? {
            if let Some(table) = self.state.table_by_id(op.table) {
                apply(table, &op, seq)?;
            }
        }
        self.seq = self.seq.max(seq);
        Ok(())
    }

    /// Deletes from the memtables what bulk appends before `seq` replaced.
    fn shadow_before(&mut self, seq: SeqNo) -> Result<()> {
        while let Some(entry) = self.bulk.first_entry().filter(|entry| *entry.key() < seq) {
            let (at, files) = entry.remove_entry();
            for (name, file) in files {
                let active = &self.state.table(&name)?.active;
                let keys = live_keys_in(active, &[file])?;
                if !keys.is_empty() {
                    active.push(at, ChunkKeys::Encoded(BinaryArray::from_iter_values(keys)), None, true)?;
                }
            }
        }
        Ok(())
    }
}

fn apply(table: &TableState, op: &LoggedOp, seq: SeqNo) -> Result<()> {
    let def = &table.def;
    if op.version != def.version {
        return Err(Error::Internal(format!(
            "the log holds rows of version {} of table {}, which is at version {}",
            op.version, def.name, def.version
        )));
    }
    let (rows, keys) = match op.kind {
        OpKind::Insert | OpKind::Upsert => {
            let rows = op.batch(def.schema())?;
            let keys =
                encode_keys(def, &rows)?.unwrap_or_else(|| row_ids(op.first_row_id, rows.num_rows() as u32));
            (Some(rows), keys)
        }
        OpKind::DeleteKeys => {
            let rows = op.batch(key_schema(def))?;
            (None, ChunkKeys::Encoded(key_codec(def)?.encode(rows.columns())?))
        }
        OpKind::DeleteRowIds => {
            let rows = op.batch(row_id_batch(&Vec::<u64>::new().into())?.schema())?;
            (None, ChunkKeys::RowIds(rows.column(0).to_data().into()))
        }
    };
    if let (Some(rows), false) = (&rows, def.is_keyed()) {
        table.next_row_id.fetch_max(op.first_row_id.0 + rows.num_rows() as u64, Ordering::Relaxed);
    }
    // A replayed insert was checked when it was committed, but the files may have changed since: probe again.
    let fresh = op.kind == OpKind::Insert && !def.is_keyed();
    table.active.push(seq, keys, rows, fresh)
}

/// Removes files that no manifest names: left by a crash between writing them and publishing them.
pub(super) fn remove_orphans(storage: &dyn Storage, manifest: &Manifest) -> Result<()> {
    let live = manifest.paths();
    for dir in [layout::SST_DIR, layout::DEL_DIR] {
        for path in
            storage.list(dir)?.iter().map(|name| format!("{dir}/{name}")).filter(|path| !live.contains(path))
        {
            storage.remove(&path)?;
        }
    }
    let start = manifest.wal_start.unwrap_or_default();
    for name in storage.list(layout::WAL_DIR)? {
        if layout::file_number(&name).is_some_and(|file| file < start) || !name.ends_with(".wal") {
            storage.remove(&format!("{}/{name}", layout::WAL_DIR))?;
        }
    }
    for name in storage.list(layout::MANIFEST_DIR)? {
        let number = layout::file_number(&name).unwrap_or_default().0;
        if number > manifest.number || number + 2 < manifest.number || name.ends_with(".new") {
            storage.remove(&format!("{}/{name}", layout::MANIFEST_DIR))?;
        }
    }
    Ok(())
}

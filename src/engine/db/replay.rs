//! Commits of the log, pushed into the memtables that lost them or do not have them yet.
//!
//! For recovery, which starts from empty memtables, and for a reader that follows a writer, which adds to its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::BinaryArray;
use arrow::buffer::Buffer;

use super::appended::live_keys_in;
use super::batch::{encode_keys, row_id_batch};
use super::conform::key_schema;
use crate::common::{Error, Result, SeqNo};
use crate::format::commit::{LoggedOp, OpKind, decode, time_of};
use crate::format::table::TableName;
use crate::lsm::{State, TableFile, TableState};
use crate::memtable::{ChunkKeys, Keys, PackedRows};

/// A file of a bulk append, and its table.
type BulkFile = (TableName, Arc<TableFile>);

/// A state that commits are being added to.
pub(super) struct Replay {
    pub state: State,
    /// Commits up to here are in the state already.
    known: SeqNo,
    /// The newest commit.
    pub seq: SeqNo,
    /// Bulk appends that the log does not hold, by sequence number: they replace older rows that it does.
    bulk: BTreeMap<SeqNo, Vec<BulkFile>>,
}

impl Replay {
    /// Goes on from `state`, which holds every commit up to `known` and bulk appends beyond.
    pub fn new(state: State, known: SeqNo) -> Self {
        let mut bulk: BTreeMap<SeqNo, Vec<BulkFile>> = BTreeMap::new();
        for table in state.tables.values().filter(|table| table.def.is_keyed()) {
            for file in table.files.iter().filter(|file| file.info().min_seq > known) {
                bulk.entry(file.info().min_seq).or_default().push((table.def.name.clone(), Arc::clone(file)));
            }
        }
        Self { state, known, seq: known, bulk }
    }

    /// Adds one commit, unless it is there.
    pub fn commit(&mut self, seq: SeqNo, payload: &Buffer) -> Result<()> {
        if seq <= self.known {
            return Ok(());
        }
        self.shadow_before(seq)?;
        for op in decode(payload)? {
            if let Some(table) = self.state.table_by_id(op.table) {
                apply(table, &op, seq)?;
            }
        }
        if let Some(millis) = time_of(payload)? {
            self.state.times.note(seq, millis);
        }
        self.seq = self.seq.max(seq);
        Ok(())
    }

    /// Freezes every memtable, as the writer did when it started another log file.
    pub fn freeze(&mut self) {
        for table in self.state.tables.values_mut() {
            *table = table.freeze();
        }
    }

    /// Deletes from the memtables what bulk appends before `seq` replaced.
    pub fn shadow_before(&mut self, seq: SeqNo) -> Result<()> {
        while let Some(entry) = self.bulk.first_entry().filter(|entry| *entry.key() < seq) {
            let (at, files) = entry.remove_entry();
            for (name, file) in files {
                shadow(self.state.table(&name)?, at, &[file])?;
            }
        }
        Ok(())
    }
}

fn shadow(table: &TableState, at: SeqNo, files: &[Arc<TableFile>]) -> Result<()> {
    let mut keys = Vec::new();
    for memtable in table.memtables() {
        keys.extend(live_keys_in(memtable, files)?);
    }
    keys.sort();
    keys.dedup();
    if keys.is_empty() {
        return Ok(());
    }
    // Older entries of the active memtable are superseded by this; those of frozen ones must be searched for.
    let fresh = table.frozen.is_empty();
    table.active.push(at, ChunkKeys::Encoded(BinaryArray::from_iter_values(keys)), None, fresh)
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
            let fresh = || Keys::Fresh(op.first_row_id, rows.num_rows() as u32);
            let keys = encode_keys(def, &rows)?.map_or_else(fresh, Keys::Many);
            (Some(rows), keys)
        }
        OpKind::DeleteKeys => {
            let rows = op.batch(key_schema(def))?;
            (None, Keys::Many(ChunkKeys::Encoded(def.key_codec()?.encode(rows.columns())?)))
        }
        OpKind::DeleteRowIds => {
            let rows = op.batch(row_id_batch(&Vec::<u64>::new().into())?.schema())?;
            (None, Keys::Many(ChunkKeys::RowIds(rows.column(0).to_data().into())))
        }
    };
    if let (Some(rows), false) = (&rows, def.is_keyed()) {
        table.next_row_id.fetch_max(op.first_row_id.0 + rows.num_rows() as u64, Ordering::Relaxed);
    }
    // A replayed insert was checked when it was committed, but the files may have changed since: probe again.
    let fresh = op.kind == OpKind::Insert && !def.is_keyed();
    match op.packed() {
        Some(bytes) => {
            let schema = def.schema();
            let rows = rows.is_some().then_some(PackedRows { schema: &schema, bytes });
            table.active.push_few(seq, &keys, rows, fresh)
        }
        None => table.active.push(seq, keys.into_arrays(), rows, fresh),
    }
}

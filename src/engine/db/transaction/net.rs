//! What is left of a transaction's writes when it commits: of each row the last version, in few operations.
//!
//! A row that was added and removed again is not mentioned, nor is the deletion of a key that was not there.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryArray, BooleanArray, RecordBatch, UInt64Array};
use arrow::compute::{concat, concat_batches, filter, filter_record_batch};

use super::Registered;
use super::work::is_own_row;
use crate::common::Result;
use crate::db::batch::WriteBatch;
use crate::db::conform::key_schema;
use crate::db::snapshot::Snapshot;
use crate::db::view::TableView;
use crate::format::commit::OpKind;
use crate::lsm::{Published, TableState};
use crate::memtable::{Chunk, ChunkKeys, Keys, LIVE};

/// A transaction that has ended.
pub(super) struct Net {
    pub base: Snapshot,
    pub now: Arc<Published>,
    pub _registered: Option<Registered>,
}

/// Rows on their way into one operation, with their keys in a keyed table.
#[derive(Default)]
struct Rows {
    batches: Vec<RecordBatch>,
    keys: Vec<ArrayRef>,
}

/// What is left of one table's writes.
#[derive(Default)]
struct Left {
    /// Rows whose keys were not there, and rows of keyless tables.
    inserted: Rows,
    /// Rows whose keys were there.
    replaced: Rows,
    /// Keys, or row ids, that were there.
    deleted: Vec<ArrayRef>,
}

impl Net {
    /// One batch, on condition that nobody changed the same rows since the transaction began.
    pub fn batch(&self) -> Result<WriteBatch> {
        let mut batch = WriteBatch::new();
        batch.based_on(&self.base);
        for table in self.now.state.tables.values().filter(|table| table.is_overlay()) {
            let left = if table.def.is_keyed() { self.keyed(table)? } else { keyless(table)? };
            left.add(table, &mut batch)?;
        }
        Ok(batch)
    }

    fn keyed(&self, table: &TableState) -> Result<Left> {
        let before = self.base.table(&table.def.name)?;
        let mut left = Left::default();
        for chunk in table.active.chunks(u32::MAX)? {
            let live = live(&chunk);
            let ChunkKeys::Encoded(keys) = &chunk.keys else { continue };
            if chunk.fresh {
                left.inserted.take(&chunk, keys, &live)?;
                continue;
            }
            let (known, new) = split(&before, keys, &live)?;
            if chunk.rows.is_some() {
                left.replaced.take(&chunk, keys, &known)?;
                left.inserted.take(&chunk, keys, &new)?;
            } else if known.true_count() > 0 {
                left.deleted.push(filter(keys, &known)?);
            }
        }
        Ok(left)
    }
}

fn keyless(table: &TableState) -> Result<Left> {
    let mut left = Left::default();
    for chunk in table.active.chunks(u32::MAX)? {
        let live = live(&chunk);
        let ChunkKeys::RowIds(ids) = &chunk.keys else { continue };
        match &chunk.rows {
            Some(rows) if live.true_count() > 0 => {
                left.inserted.batches.push(filter_record_batch(rows, &live)?);
            }
            Some(_) => {}
            None => {
                let shared = |i: usize| live.value(i) && !is_own_row(ids.value(i));
                let shared = BooleanArray::from((0..ids.len()).map(shared).collect::<Vec<_>>());
                left.deleted.push(filter(ids, &shared)?);
            }
        }
    }
    Ok(left)
}

/// Entries that nothing supersedes.
fn live(chunk: &Chunk) -> BooleanArray {
    chunk.entries.iter().map(|entry| Some(entry.superseded_by() == LIVE)).collect()
}

/// Of the live entries, those whose keys the transaction found when it began, and the others.
fn split(
    before: &TableView,
    keys: &BinaryArray,
    live: &BooleanArray,
) -> Result<(BooleanArray, BooleanArray)> {
    let mut known = Vec::with_capacity(keys.len());
    for i in 0..keys.len() {
        known.push(live.value(i) && before.contains(keys.value(i))?);
    }
    let new = (0..keys.len()).map(|i| live.value(i) && !known[i]).collect::<Vec<_>>();
    Ok((known.into(), new.into()))
}

impl Rows {
    fn take(&mut self, chunk: &Chunk, keys: &BinaryArray, chosen: &BooleanArray) -> Result<()> {
        if let Some(rows) = chunk.rows.as_ref().filter(|_| chosen.true_count() > 0) {
            self.batches.push(filter_record_batch(rows, chosen)?);
            self.keys.push(filter(keys, chosen)?);
        }
        Ok(())
    }

    fn add(self, table: &TableState, kind: OpKind, batch: &mut WriteBatch) -> Result<()> {
        if self.batches.is_empty() {
            return Ok(());
        }
        let rows = concat_batches(&table.def.schema(), &self.batches)?;
        let keys = match self.keys.is_empty() {
            true => None,
            false => Some(Keys::Many(ChunkKeys::Encoded(joined(&self.keys)?.to_data().into()))),
        };
        batch.push(&table.def, kind, rows, keys)
    }
}

impl Left {
    fn add(self, table: &TableState, batch: &mut WriteBatch) -> Result<()> {
        if !self.deleted.is_empty() {
            let deleted = joined(&self.deleted)?;
            if table.def.is_keyed() {
                let keys: BinaryArray = deleted.to_data().into();
                let columns = table.def.key_codec()?.decode(&keys)?;
                batch.delete_keys(&table.def, &RecordBatch::try_new(key_schema(&table.def), columns)?)?;
            } else {
                batch.delete_row_ids(&table.def, &UInt64Array::from(deleted.to_data()))?;
            }
        }
        self.replaced.add(table, OpKind::Upsert, batch)?;
        self.inserted.add(table, OpKind::Insert, batch)
    }
}

fn joined(arrays: &[ArrayRef]) -> Result<ArrayRef> {
    let arrays: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
    Ok(concat(&arrays)?)
}

//! The files of a bulk append: their rows in order, which keys they share with others, and the commit they belong to.

use std::sync::Arc;

use arrow::array::{Array, BinaryArray, RecordBatch, UInt32Array};
use arrow::compute::{take, take_record_batch};

use super::appender::WriteMode;
use super::batch::duplicate;
use super::core::Core;
use crate::common::{Result, SeqNo};
use crate::format::table::TableDef;
use crate::lsm::TableFile;
use crate::memtable::MemTable;
use crate::sstable::SstInfo;

/// Rows in key order, of equal keys the last; in insert mode equal keys are an error.
pub(super) fn sorted(
    table: &TableDef,
    mode: WriteMode,
    rows: RecordBatch,
    keys: BinaryArray,
) -> Result<(RecordBatch, BinaryArray)> {
    if (1..keys.len()).all(|i| keys.value(i - 1) < keys.value(i)) {
        return Ok((rows, keys));
    }
    let mut order: Vec<u32> = (0..keys.len() as u32).collect();
    order.sort_by(|a, b| keys.value(*a as usize).cmp(keys.value(*b as usize)));
    let same = |a: u32, b: u32| keys.value(a as usize) == keys.value(b as usize);
    if mode == WriteMode::Insert
        && let Some(pair) = order.windows(2).find(|pair| same(pair[0], pair[1]))
    {
        return Err(duplicate(table, keys.value(pair[0] as usize)));
    }
    order.reverse();
    order.dedup_by(|a, b| same(*a, *b));
    order.reverse();
    let order = UInt32Array::from(order);
    Ok((take_record_batch(&rows, &order)?, take(&keys, &order, None)?.to_data().into()))
}

pub(super) fn overlap(a: &TableFile, b: &TableFile) -> bool {
    a.info().min_key <= b.info().max_key && b.info().min_key <= a.info().max_key
}

/// Keys of a memtable's entries, the newest of each, that are in one of `files`.
pub(super) fn live_keys_in(memtable: &MemTable, files: &[Arc<TableFile>]) -> Result<Vec<Vec<u8>>> {
    let mut newest = Vec::new();
    memtable.for_each_newest(|key, _| newest.push(key.to_vec()));
    let mut found = Vec::new();
    for key in newest {
        for file in files {
            if file.find_live(&key)?.is_some() {
                found.push(key);
                break;
            }
        }
    }
    Ok(found)
}

/// The files as of commit `seq`, which is known only now.
pub(super) fn stamp(
    core: &Core,
    table: &TableDef,
    files: Vec<Arc<TableFile>>,
    seq: SeqNo,
) -> Result<Vec<Arc<TableFile>>> {
    let mut stamped = Vec::with_capacity(files.len());
    for file in files {
        let info = SstInfo { min_seq: seq, max_seq: seq, ..file.info().clone() };
        let opened = core.open_files(table, vec![info])?.remove(0);
        let deletes = file.deletes()?;
        stamped.push(if deletes.is_empty() {
            opened
        } else {
            Arc::new(opened.with_bitmap((**deletes).clone()))
        });
    }
    Ok(stamped)
}

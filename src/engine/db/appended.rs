//! The files of a bulk append: their rows in order, and which keys they share with others.

use std::sync::Arc;

use arrow::array::{Array, BinaryArray, RecordBatch, UInt32Array};
use arrow::compute::{take, take_record_batch};

use super::appender::WriteMode;
use super::batch::duplicate;
use crate::common::Result;
use crate::format::table::TableDef;
use crate::lsm::TableFile;
use crate::memtable::{From, MemTable};

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
    let (mut walk, mut key) = (memtable.walk(From::End, false), Vec::new());
    let mut found = Vec::new();
    while memtable.step_newest(&mut walk, &mut key).is_some() {
        for file in files {
            if file.find_live(&key)?.is_some() {
                found.push(key.clone());
                break;
            }
        }
    }
    Ok(found)
}

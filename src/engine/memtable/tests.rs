//! The memtable against a plain list of commits, at every limit a snapshot could have.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray, Int64Array, RecordBatch, UInt64Array};
use arrow::datatypes::Int64Type;
use proptest::prelude::*;

use super::{ChunkKeys, From, MemTable};
use crate::common::SeqNo;

/// One commit: keys, and the value of each, or `None` for a deletion.
#[derive(Clone, Debug)]
struct Commit {
    keys: Vec<u8>,
    value: Option<i64>,
}

fn commits() -> impl Strategy<Value = Vec<Commit>> {
    let commit = (prop::collection::vec(0u8..20, 1..4), prop::option::weighted(0.8, 0i64..1000));
    prop::collection::vec(commit.prop_map(|(keys, value)| Commit { keys, value }), 1..200)
}

fn values(count: usize, value: i64) -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from(vec![value; count]));
    RecordBatch::try_from_iter([("v", column)]).unwrap()
}

/// What a scan sees: key and value of every live entry below `limit`.
fn live(memtable: &MemTable, limit: u32) -> Vec<(Vec<u8>, i64)> {
    let mut found = Vec::new();
    for chunk in memtable.chunks(limit) {
        let Some(rows) = &chunk.rows else { continue };
        let column = rows.column(0).as_primitive::<Int64Type>();
        for offset in 0..chunk.len() {
            if chunk.start + (offset as u32) < limit && chunk.entries[offset].superseded_by() >= limit {
                found.push((chunk.keys.with(offset, <[u8]>::to_vec), column.value(offset)));
            }
        }
    }
    found.sort();
    found
}

/// What a walk in key order sees.
fn walked(memtable: &MemTable, limit: u32) -> Vec<(Vec<u8>, i64)> {
    let mut walk = memtable.walk(From::End, false);
    let mut key = Vec::new();
    let step = || memtable.step(&mut walk, limit, &mut key).map(|found| (key.clone(), found));
    std::iter::from_fn(step)
        .filter_map(|(key, found)| Some((key, found.row()?.column(0).as_primitive::<Int64Type>().value(0))))
        .collect()
}

proptest! {
    #[test]
    fn a_keyed_memtable_is_a_map_at_every_limit(commits in commits()) {
        let memtable = MemTable::new(true);
        let mut model: BTreeMap<Vec<u8>, i64> = BTreeMap::new();
        let mut history = vec![model.clone()];
        for (i, commit) in commits.iter().enumerate() {
            let keys = BinaryArray::from_iter_values(commit.keys.iter().map(|key| [*key]));
            let rows = commit.value.map(|value| values(commit.keys.len(), value));
            memtable.push(SeqNo(i as u64 + 1), ChunkKeys::Encoded(keys), rows, false).unwrap();
            for key in &commit.keys {
                match commit.value {
                    Some(value) => model.insert(vec![*key], value),
                    None => model.remove(&vec![*key]),
                };
            }
            history.push(model.clone());
        }
        for (seq, model) in history.iter().enumerate() {
            let limit = memtable.limit(SeqNo(seq as u64));
            prop_assert_eq!(live(&memtable, limit), model.clone().into_iter().collect::<Vec<_>>());
            prop_assert_eq!(walked(&memtable, limit), model.clone().into_iter().collect::<Vec<_>>());
            for key in 0u8..20 {
                let found = memtable.find(&[key], limit).and_then(|found| found.row());
                let value = found.map(|row| row.column(0).as_primitive::<Int64Type>().value(0));
                prop_assert_eq!(value, model.get(&vec![key]).copied());
            }
        }
    }

    #[test]
    fn a_keyless_memtable_loses_only_what_is_deleted(commits in commits()) {
        let memtable = MemTable::new(false);
        let mut model: BTreeMap<u64, i64> = BTreeMap::new();
        let mut next = 100;
        for (i, commit) in commits.iter().enumerate() {
            let seq = SeqNo(i as u64 + 1);
            if let Some(value) = commit.value {
                let ids: Vec<u64> = (next..next + commit.keys.len() as u64).collect();
                next += ids.len() as u64;
                model.extend(ids.iter().map(|id| (*id, value)));
                memtable.push(seq, ChunkKeys::RowIds(ids.into()), Some(values(commit.keys.len(), value)), true).unwrap();
            } else {
                let mut ids: Vec<u64> = commit.keys.iter().map(|key| 95 + u64::from(*key)).collect();
                ids.dedup();
                ids.iter().for_each(|id| {
                    model.remove(id);
                });
                memtable.push(seq, ChunkKeys::RowIds(UInt64Array::from(ids)), None, false).unwrap();
            }
            let expected: Vec<(Vec<u8>, i64)> = model.iter().map(|(id, value)| (id.to_be_bytes().to_vec(), *value)).collect();
            prop_assert_eq!(live(&memtable, memtable.limit(seq)), expected);
        }
    }

    #[test]
    fn single_row_commits_leave_few_chunks(count in 1usize..3000) {
        let memtable = MemTable::new(true);
        for i in 0..count {
            let keys = BinaryArray::from_iter_values([(i as u64).to_be_bytes()]);
            memtable.push(SeqNo(i as u64 + 1), ChunkKeys::Encoded(keys), Some(values(1, 1)), false).unwrap();
        }
        let chunks = memtable.chunks(u32::MAX);
        prop_assert!(chunks.len() <= 2 * 32 + count / 512, "{} chunks", chunks.len());
        prop_assert_eq!(memtable.len() as usize, count);
    }
}

//! The memtable against a plain list of commits, at every limit a snapshot could have.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Int64Array, RecordBatch, UInt64Array};
use arrow::datatypes::{Int64Type, SchemaRef};
use proptest::prelude::*;

use super::{ChunkKeys, Found, From, Keys, MemTable, PackedRows};
use crate::common::SeqNo;
use crate::format::packed::pack;

/// One commit: keys, and the value of each, or `None` for a deletion.
#[derive(Clone, Debug)]
struct Commit {
    keys: Vec<u8>,
    value: Option<i64>,
    /// Pushed as the log holds few rows.
    few: bool,
    /// Somebody reads after it.
    read: bool,
}

impl Commit {
    fn push(&self, memtable: &MemTable, seq: SeqNo, keys: ChunkKeys, schema: &SchemaRef) {
        let rows = self.value.map(|value| values(keys.len(), value));
        if !self.few {
            return memtable.push(seq, keys, rows, false).unwrap();
        }
        let bytes = rows.map(|rows| pack(&rows).unwrap());
        let rows = bytes.as_ref().map(|bytes| PackedRows { schema, bytes });
        let keys = match keys {
            ChunkKeys::Encoded(keys) if keys.len() == 1 => Keys::One(keys.value(0).into()),
            keys => Keys::Many(keys),
        };
        memtable.push_few(seq, &keys, rows, false).unwrap();
    }
}

fn commits() -> impl Strategy<Value = Vec<Commit>> {
    let keys = prop::collection::vec(0u8..20, 1..4);
    let commit =
        (keys, prop::option::weighted(0.8, 0i64..1000), prop::bool::weighted(0.8), prop::bool::weighted(0.2));
    let commit = commit.prop_map(|(keys, value, few, read)| Commit { keys, value, few, read });
    prop::collection::vec(commit, 1..200)
}

fn values(count: usize, value: i64) -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from(vec![value; count]));
    RecordBatch::try_from_iter([("v", column)]).unwrap()
}

/// What a scan sees: key and value of every live entry below `limit`.
fn live(memtable: &MemTable, limit: u32) -> Vec<(Vec<u8>, i64)> {
    let mut found = Vec::new();
    for chunk in memtable.chunks(limit).unwrap() {
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

fn value_of(memtable: &MemTable, key: u8, limit: u32) -> Option<i64> {
    let found = memtable.find(&[key], limit).unwrap().and_then(|found| found.row());
    found.map(|row| row.column(0).as_primitive::<Int64Type>().value(0))
}

/// What a walk in key order sees.
fn walked(memtable: &MemTable, limit: u32) -> Vec<(Vec<u8>, i64)> {
    let mut walk = memtable.walk(From::End, false);
    let mut key = Vec::new();
    memtable.seal(limit).unwrap();
    let reading = memtable.read();
    let mut rows = Vec::new();
    while let Some((chunk, offset)) = reading.step(&mut walk, limit, &mut key) {
        if let Some(row) = Found::new(chunk, offset).row() {
            rows.push((key.clone(), row.column(0).as_primitive::<Int64Type>().value(0)));
        }
    }
    rows
}

proptest! {
    #[test]
    fn a_keyed_memtable_is_a_map_at_every_limit(commits in commits()) {
        let memtable = MemTable::new(true);
        let mut model: BTreeMap<Vec<u8>, i64> = BTreeMap::new();
        let mut history = vec![model.clone()];
        let schema = values(0, 0).schema();
        for (i, commit) in commits.iter().enumerate() {
            let keys = BinaryArray::from_iter_values(commit.keys.iter().map(|key| [*key]));
            commit.push(&memtable, SeqNo(i as u64 + 1), ChunkKeys::Encoded(keys), &schema);
            for key in &commit.keys {
                match commit.value {
                    Some(value) => model.insert(vec![*key], value),
                    None => model.remove(&vec![*key]),
                };
            }
            history.push(model.clone());
            prop_assert_eq!(memtable.limit(SeqNo(i as u64 + 1)), memtable.len());
            if commit.read {
                let key = commit.keys[0];
                prop_assert_eq!(value_of(&memtable, key, memtable.len()), model.get(&vec![key]).copied());
                let newest = memtable.newest(&[key], memtable.len()).unwrap();
                prop_assert_eq!((newest.seq, newest.is_deletion), (SeqNo(i as u64 + 1), commit.value.is_none()));
            }
        }
        for (seq, model) in history.iter().enumerate() {
            let limit = memtable.limit(SeqNo(seq as u64));
            prop_assert_eq!(live(&memtable, limit), model.clone().into_iter().collect::<Vec<_>>());
            prop_assert_eq!(walked(&memtable, limit), model.clone().into_iter().collect::<Vec<_>>());
            for key in 0u8..20 {
                prop_assert_eq!(value_of(&memtable, key, limit), model.get(&vec![key]).copied());
            }
        }
    }

    #[test]
    fn a_keyless_memtable_loses_only_what_is_deleted(commits in commits()) {
        let memtable = MemTable::new(false);
        let mut model: BTreeMap<u64, i64> = BTreeMap::new();
        let mut next = 100;
        let schema = values(0, 0).schema();
        for (i, commit) in commits.iter().enumerate() {
            let seq = SeqNo(i as u64 + 1);
            if let Some(value) = commit.value {
                let ids: Vec<u64> = (next..next + commit.keys.len() as u64).collect();
                next += ids.len() as u64;
                model.extend(ids.iter().map(|id| (*id, value)));
                commit.push(&memtable, seq, ChunkKeys::RowIds(ids.into()), &schema);
            } else {
                let mut ids: Vec<u64> = commit.keys.iter().map(|key| 95 + u64::from(*key)).collect();
                ids.dedup();
                ids.iter().for_each(|id| {
                    model.remove(id);
                });
                commit.push(&memtable, seq, ChunkKeys::RowIds(UInt64Array::from(ids)), &schema);
            }
            if !commit.read && i + 1 < commits.len() {
                continue;
            }
            let expected: Vec<(Vec<u8>, i64)> = model.iter().map(|(id, value)| (id.to_be_bytes().to_vec(), *value)).collect();
            prop_assert_eq!(live(&memtable, memtable.limit(seq)), expected);
        }
    }

    #[test]
    fn small_commits_leave_few_chunks(count in 1usize..3000, read_every in 1usize..9, few in any::<bool>()) {
        let memtable = MemTable::new(true);
        let schema = values(0, 0).schema();
        let commit = Commit { keys: vec![1], value: (read_every < 8).then_some(1), few, read: false };
        for i in 0..count {
            let keys = BinaryArray::from_iter_values([(i as u64).to_be_bytes()]);
            commit.push(&memtable, SeqNo(i as u64 + 1), ChunkKeys::Encoded(keys), &schema);
            if i % read_every == 0 {
                prop_assert!(!memtable.chunks(u32::MAX).unwrap().is_empty());
            }
        }
        let chunks = memtable.chunks(u32::MAX).unwrap();
        prop_assert!(chunks.len() <= 2 * 32 + count / 512, "{} chunks", chunks.len());
        prop_assert_eq!(memtable.len() as usize, count);
    }
}

//! The commits that memtables hold, and what each did to the rows before it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{BinaryArray, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};

use super::ChangeKind;
use crate::common::{Result, SeqNo};
use crate::db::view::TableView;
use crate::lsm::TableState;
use crate::memtable::Chunk;

/// What one commit wrote to one table.
pub(super) struct Commit {
    pub(super) seq: SeqNo,
    parts: Vec<Part>,
}

/// Entries of a chunk.
struct Part {
    chunk: Arc<Chunk>,
    entries: Range<usize>,
}

/// The commits after `after` and up to `until`, in their order.
pub(super) fn commits(table: &TableState, after: SeqNo, until: SeqNo) -> Result<Vec<Commit>> {
    let mut commits: Vec<Commit> = Vec::new();
    let chunks = table.memtables().map(|memtable| memtable.chunks(u32::MAX)).collect::<Result<Vec<_>>>()?;
    for chunk in chunks.into_iter().flatten() {
        for (i, (start, seq)) in chunk.commits.as_slice().iter().enumerate() {
            if *seq <= after || *seq > until {
                continue;
            }
            let end = chunk.commits.as_slice().get(i + 1).map_or(chunk.len(), |(next, _)| *next as usize);
            let part = Part { chunk: Arc::clone(&chunk), entries: *start as usize..end };
            match commits.last_mut().filter(|last| last.seq == *seq) {
                Some(last) => last.parts.push(part),
                None => commits.push(Commit { seq: *seq, parts: vec![part] }),
            }
        }
    }
    Ok(commits)
}

impl Commit {
    /// What it did, given the table before it.
    pub(super) fn changes(&self, before: &TableView) -> Result<Vec<(ChangeKind, RecordBatch)>> {
        let fates = match self.parts.as_slice() {
            // Its keys are known to have been nowhere.
            [one] if one.chunk.rows.is_some() && (one.chunk.fresh || !before.def().is_keyed()) => None,
            _ => Some(self.fates(before)?),
        };
        let mut changes = Vec::new();
        for (number, part) in self.parts.iter().enumerate() {
            let Some(rows) = part.rows() else { continue };
            let live =
                before.expiry.as_ref().map(|expiry| expiry.live(rows.column(expiry.column))).transpose()?;
            for kind in [ChangeKind::Insert, ChangeKind::Update] {
                let chosen = match &fates {
                    None if kind == ChangeKind::Update => continue,
                    None => BooleanArray::from(vec![true; rows.num_rows()]),
                    Some(fates) => fates.of(number, part.entries.len(), kind),
                };
                let chosen = match &live {
                    Some(live) => arrow::compute::and(&chosen, live)?,
                    None => chosen,
                };
                if chosen.true_count() > 0 {
                    changes.push((kind, filter_record_batch(&rows, &chosen)?));
                }
            }
        }
        if let Some(gone) = fates.map_or(Ok(None), |fates| fates.deleted(before))? {
            changes.push((ChangeKind::Delete, gone));
        }
        Ok(changes)
    }

    /// The last entry of each key counts.
    fn fates(&self, before: &TableView) -> Result<Fates> {
        let mut last: BTreeMap<Vec<u8>, (usize, usize)> = BTreeMap::new();
        for (number, part) in self.parts.iter().enumerate() {
            for entry in part.entries.clone() {
                let key = part.chunk.keys.with(entry, <[u8]>::to_vec);
                last.insert(key, (number, entry - part.entries.start));
            }
        }
        let keys = BinaryArray::from_iter_values(last.keys());
        let was_there = before.contains_each(&keys)?;
        let fates = last.into_iter().zip(was_there).map(|((key, (part, row)), was_there)| {
            let stays = self.parts[part].chunk.rows.is_some();
            Fate { key, part, row, was_there, stays }
        });
        Ok(Fates(fates.collect()))
    }
}

impl Part {
    fn rows(&self) -> Option<RecordBatch> {
        self.chunk.rows.as_ref().map(|rows| rows.slice(self.entries.start, self.entries.len()))
    }
}

/// What became of a key.
struct Fate {
    key: Vec<u8>,
    part: usize,
    row: usize,
    was_there: bool,
    stays: bool,
}

struct Fates(Vec<Fate>);

impl Fates {
    /// Which of the `rows` rows of a part came, or were updated.
    fn of(&self, part: usize, rows: usize, kind: ChangeKind) -> BooleanArray {
        let mut chosen = vec![false; rows];
        let wanted = kind == ChangeKind::Update;
        for fate in self.0.iter().filter(|fate| fate.part == part && fate.stays && fate.was_there == wanted) {
            chosen[fate.row] = true;
        }
        chosen.into()
    }

    /// The rows that went.
    fn deleted(&self, before: &TableView) -> Result<Option<RecordBatch>> {
        let mut rows = Vec::new();
        for fate in self.0.iter().filter(|fate| fate.was_there && !fate.stays) {
            rows.extend(before.get_encoded(&fate.key, None)?);
        }
        Ok(if rows.is_empty() { None } else { Some(concat_batches(&before.schema(), &rows)?) })
    }
}

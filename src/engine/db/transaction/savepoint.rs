//! Savepoints: names for a point of a transaction that it can go back to.
//!
//! As in SQL they nest, a name set again hides the older one, and going back to one keeps it.

use std::sync::Arc;

use super::Transaction;
use super::work::{Status, Work};
use crate::common::{Error, Result, SeqNo};
use crate::memtable::{Chunk, ChunkKeys, MemTable};

/// A name and the newest write before it.
#[derive(Clone, Debug)]
pub(super) struct Savepoint {
    name: String,
    seq: SeqNo,
}

impl Transaction {
    /// Names this point of the transaction.
    ///
    /// # Errors
    /// `Invalid` after a failed write and after the end.
    pub fn savepoint(&self, name: &str) -> Result<()> {
        let mut work = self.work.lock();
        work.require_open()?;
        let seq = work.seq;
        work.savepoints.push(Savepoint { name: name.to_owned(), seq });
        Ok(())
    }

    /// Forgets a savepoint and those set after it; what was written stays.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` after a failed write and after the end.
    pub fn release(&self, name: &str) -> Result<()> {
        let mut work = self.work.lock();
        work.require_open()?;
        let at = work.find(name)?;
        work.savepoints.truncate(at);
        Ok(())
    }

    /// Takes back every write since a savepoint, which stays, and forgets those set after it. A transaction that had
    /// failed since takes calls again.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` after the end.
    pub fn rollback_to(&self, name: &str) -> Result<()> {
        let mut work = self.work.lock();
        if work.status == Status::Ended {
            return work.require_open();
        }
        let at = work.find(name)?;
        work.status = Status::Failed;
        work.savepoints.truncate(at + 1);
        work.rewind(at)?;
        work.status = Status::Open;
        Ok(())
    }

    /// Runs a piece of work that is kept wholly or not at all: its error takes back what it wrote and is returned, and
    /// the transaction goes on. A panic in it leaves the transaction failed.
    ///
    /// # Errors
    /// Those of `work`; `Invalid` after a failed write and after the end.
    pub fn nested<T>(&self, work: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        const NAME: &str = "(nested)";
        self.savepoint(NAME)?;
        let guard = FailOnPanic(self);
        let outcome = work(self);
        std::mem::forget(guard);
        if outcome.is_err() {
            self.rollback_to(NAME)?;
        }
        self.release(NAME)?;
        outcome
    }
}

/// Fails the transaction when it is dropped by a panic.
struct FailOnPanic<'a>(&'a Transaction);

impl Drop for FailOnPanic<'_> {
    fn drop(&mut self) {
        self.0.fail();
    }
}

impl Work {
    fn find(&self, name: &str) -> Result<usize> {
        let found = self.savepoints.iter().rposition(|savepoint| savepoint.name == name);
        found.ok_or_else(|| Error::NotFound { entity: "savepoint", name: name.to_owned() })
    }

    /// Own memtables as they were at savepoint `at`.
    fn rewind(&mut self, at: usize) -> Result<()> {
        let seq = self.savepoints[at].seq;
        let mut rewound = Vec::new();
        for table in self.written() {
            let limit = table.active.limit(seq);
            if limit < table.active.len() {
                rewound
                    .push(self.overlay(table.def.id, prefix(&table.active, limit, table.def.is_keyed())?)?);
            }
        }
        self.put(rewound);
        self.seq = seq;
        Ok(())
    }
}

/// The first `limit` entries of a memtable, which end with a commit.
fn prefix(memtable: &MemTable, limit: u32, keyed: bool) -> Result<MemTable> {
    let kept = MemTable::new(keyed);
    for chunk in memtable.chunks(limit)? {
        for (i, (from, seq)) in chunk.commits.as_slice().iter().enumerate() {
            let to = chunk.commits.as_slice().get(i + 1).map_or(chunk.len() as u32, |(next, _)| *next);
            if chunk.start + to <= limit {
                let (keys, rows) = slice(&chunk, *from as usize..to as usize);
                kept.push(*seq, keys, rows, chunk.fresh)?;
            }
        }
    }
    Ok(kept)
}

fn slice(
    chunk: &Arc<Chunk>,
    entries: std::ops::Range<usize>,
) -> (ChunkKeys, Option<arrow::array::RecordBatch>) {
    let keys = match &chunk.keys {
        ChunkKeys::Encoded(keys) => ChunkKeys::Encoded(keys.slice(entries.start, entries.len())),
        ChunkKeys::RowIds(ids) => ChunkKeys::RowIds(ids.slice(entries.start, entries.len())),
    };
    (keys, chunk.rows.as_ref().map(|rows| rows.slice(entries.start, entries.len())))
}

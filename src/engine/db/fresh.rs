//! What searches ask of a part besides its rows: what was made of a file, and the entries of a memtable as they stand.

use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::ArrayRef;

use super::scan::{ScanPart, Source};
use crate::common::{ColumnId, Result};
use crate::lsm::{Derivation, WANTED, Wanted};
use crate::memtable::MemTable;

/// One column of the entries that a part's snapshot sees of a memtable, whether their rows still count or not. Entries of
/// one number are the same for all snapshots.
#[derive(Clone, Debug)]
pub struct FreshRows {
    memtable: Arc<MemTable>,
    limit: u32,
    column: usize,
    id: ColumnId,
}

impl FreshRows {
    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.limit
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.limit == 0
    }

    /// What is kept beside the memtable by one that makes `how` of files, and wants it of the file that this becomes.
    #[must_use]
    pub fn notes<T: Any + Send + Sync + Default, D: Derivation>(&self, how: &D) -> Arc<T> {
        let notes = self.memtable.notes();
        notes.get::<Wanted>(WANTED).note(self.id, how);
        notes.get(&format!("{} of column {}", how.description(), self.id))
    }

    /// The values of entries in a range, run by run, each run with the number of its first entry. Deletions have none.
    ///
    /// # Errors
    /// When memory does not suffice.
    pub fn read(&self, entries: Range<u32>) -> Result<Vec<(u32, ArrayRef)>> {
        let mut runs = Vec::new();
        for chunk in self.memtable.chunks(entries.end)? {
            let (start, end) = (chunk.start.max(entries.start), chunk.end().min(entries.end));
            if let Some(rows) = chunk.rows.as_ref().filter(|_| start < end) {
                let values = rows.column(self.column);
                runs.push((start, values.slice((start - chunk.start) as usize, (end - start) as usize)));
            }
        }
        Ok(runs)
    }
}

impl ScanPart {
    /// What is made of a column of its file; `None` for a memtable.
    ///
    /// # Errors
    /// When the file cannot be read, or `how` fails.
    pub fn derived<D: Derivation>(&self, column: usize, how: &D) -> Result<Option<Arc<D::Opened>>> {
        let Source::File { file, .. } = &self.source else { return Ok(None) };
        file.derived(&self.table, column, how).map(Some)
    }

    /// A column of its memtable's entries; `None` for a file.
    #[must_use]
    pub fn fresh(&self, column: usize) -> Option<FreshRows> {
        let Source::MemTable { memtable, limit, .. } = &self.source else { return None };
        let id = self.table.columns[column].id;
        Some(FreshRows { memtable: Arc::clone(memtable), limit: *limit, column, id })
    }

    /// The number that the first row of batch `i` has in its file, or its entry in the memtable.
    #[must_use]
    pub fn first_row(&self, i: usize) -> u64 {
        match &self.source {
            Source::File { reader, .. } => reader.batch_rows(i).start,
            Source::MemTable { chunks, .. } => u64::from(chunks[i].0.start),
        }
    }
}

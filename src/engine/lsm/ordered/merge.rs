//! The merge of a table's files and memtables, as of a snapshot.
//!
//! Of the entries of one key the newest memtable's counts. A deletion leaves only the row of a file that is not older
//! than it (a bulk append); over all files a key has at most one live row.

use arrow::array::RecordBatch;

use super::cursor::{FileCursor, MemCursor};
use super::span::Span;
use crate::common::{Result, SeqNo};
use crate::lsm::{Gather, KeyRange, TableState};

/// Rows still to come.
#[derive(Debug)]
pub struct Ordered {
    span: Span,
    reverse: bool,
    /// The newest first.
    memtables: Vec<MemCursor>,
    files: Vec<FileCursor>,
    key: Vec<u8>,
}

impl Ordered {
    /// Rows of `range` as of a snapshot that sees `limits[i]` entries of memtable `i`.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn open(table: &TableState, limits: &[u32], range: &KeyRange, reverse: bool) -> Result<Self> {
        let span = Span::new(range);
        let (mut memtables, mut files) = (Vec::new(), Vec::new());
        if !span.is_empty() {
            let open = |(memtable, limit): (_, &u32)| MemCursor::open(memtable, *limit, &span, reverse);
            memtables = table
                .memtables()
                .zip(limits)
                .filter_map(|pair| open(pair).transpose())
                .collect::<Result<_>>()?;
            memtables.reverse();
            for file in table.files.iter() {
                files.extend(FileCursor::open(file, &span, reverse)?);
            }
        }
        Ok(Self { span, reverse, memtables, files, key: Vec::new() })
    }

    /// Up to `rows` rows more, in order; fewer only at the end.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn next_batch(&mut self, rows: usize, mut gather: Gather) -> Result<RecordBatch> {
        while gather.len() < rows && self.find_next() {
            let room = rows - gather.len();
            if let Some(at) = self.lone_file() {
                self.pick_run(at, room, &mut gather)?;
                continue;
            }
            if let Some(at) = self.lone_memtable() {
                self.pick_entries(at, room, &mut gather)?;
                continue;
            }
            let entry = self.pick_entry(&mut gather)?;
            self.pick_row(entry, &mut gather)?;
        }
        gather.take()
    }

    /// Puts the key that comes next into `key`; false at the end.
    fn find_next(&mut self) -> bool {
        let keys = self.memtables.iter().map(|cursor| &cursor.key).chain(self.files.iter().map(|c| &c.key));
        let next = if self.reverse { keys.max() } else { keys.min() };
        let Some(next) = next else { return false };
        self.key.clear();
        self.key.extend_from_slice(next);
        true
    }

    /// The file at the key, when nothing else is.
    fn lone_file(&self) -> Option<usize> {
        let at = self.files.iter().position(|cursor| cursor.key == self.key)?;
        let others = self.files[at + 1..].iter().map(|c| &c.key).chain(self.memtables.iter().map(|c| &c.key));
        others.into_iter().all(|key| *key != self.key).then_some(at)
    }

    /// The memtable at the key, when nothing else is.
    fn lone_memtable(&self) -> Option<usize> {
        let at = self.memtables.iter().position(|cursor| cursor.key == self.key)?;
        let others = self.memtables[at + 1..].iter().map(|c| &c.key).chain(self.files.iter().map(|c| &c.key));
        others.into_iter().all(|key| *key != self.key).then_some(at)
    }

    /// Picks the rows of a memtable that come before those of all others.
    fn pick_entries(&mut self, at: usize, room: usize, gather: &mut Gather) -> Result<()> {
        let others = self.memtables.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, c)| &c.key);
        let others = others.chain(self.files.iter().map(|c| &c.key));
        let bound = (if self.reverse { others.max() } else { others.min() }).cloned();
        self.memtables[at].pick_run(&self.span, bound.as_deref(), room, gather)?;
        self.memtables.retain(|cursor| cursor.found.is_some());
        Ok(())
    }

    /// Picks the rows of a file that come before those of all others.
    fn pick_run(&mut self, at: usize, room: usize, gather: &mut Gather) -> Result<()> {
        let mut cursor = self.files.swap_remove(at);
        let others = self.memtables.iter().map(|c| &c.key).chain(self.files.iter().map(|c| &c.key));
        let bound = if self.reverse { others.max() } else { others.min() };
        cursor.pick_run(bound.map(Vec::as_slice), room, gather)?;
        if cursor.row.is_some() {
            self.files.push(cursor);
        }
        Ok(())
    }

    /// Moves the memtables past the key; picks its row when the newest entry is one.
    fn pick_entry(&mut self, gather: &mut Gather) -> Result<Entry> {
        let mut newest = Entry::Absent;
        for cursor in self.memtables.iter_mut().filter(|cursor| cursor.key == self.key) {
            if let (Entry::Absent, Some(found)) = (&newest, &cursor.found) {
                newest = if found.is_deletion() { Entry::Deleted(found.seq) } else { Entry::Picked };
                if let Entry::Picked = newest {
                    gather.push_entry(&found.chunk, found.offset)?;
                }
            }
            cursor.advance(&self.span);
        }
        self.memtables.retain(|cursor| cursor.found.is_some());
        Ok(newest)
    }

    /// Moves the files past the key; picks its row unless a memtable says otherwise.
    fn pick_row(&mut self, entry: Entry, gather: &mut Gather) -> Result<()> {
        for cursor in self.files.iter_mut().filter(|cursor| cursor.key == self.key) {
            let counts = match entry {
                Entry::Absent => true,
                Entry::Deleted(seq) => cursor.max_seq >= seq,
                Entry::Picked => false,
            };
            if let (true, Some(row)) = (counts, cursor.row) {
                gather.push_file(&cursor.reader, row)?;
            }
            cursor.advance()?;
        }
        self.files.retain(|cursor| cursor.row.is_some());
        Ok(())
    }
}

/// What the memtables hold of a key.
#[derive(Clone, Copy)]
enum Entry {
    Absent,
    Deleted(SeqNo),
    Picked,
}

//! One file, or one memtable, walked in key order within a range.

use std::ops::Range;
use std::sync::Arc;

use roaring::RoaringBitmap;

use super::span::Span;
use crate::common::{Result, SeqNo};
use crate::lsm::{Gather, TableFile};
use crate::memtable::{Found, From, MemTable, Walk};
use crate::sstable::SstReader;

/// A place in a file.
#[derive(Debug)]
pub(super) struct FileCursor {
    pub(super) reader: Arc<SstReader>,
    pub(super) max_seq: SeqNo,
    deletes: Arc<RoaringBitmap>,
    /// Rows still to come.
    ahead: Range<u64>,
    reverse: bool,
    /// The row it is at, and its key; `None` at the end.
    pub(super) row: Option<u64>,
    pub(super) key: Vec<u8>,
}

impl FileCursor {
    /// At the first row of the range; `None` when the file has none there.
    pub(super) fn open(file: &TableFile, span: &Span, reverse: bool) -> Result<Option<Self>> {
        let info = file.info();
        if span.start() > info.max_key.as_slice() || span.end().is_some_and(|end| end <= &info.min_key[..]) {
            return Ok(None);
        }
        let reader = Arc::clone(file.reader()?);
        let start = reader.lower_bound(span.start())?;
        let end = span.end().map_or(Ok(info.rows), |end| reader.lower_bound(end))?;
        let (deletes, max_seq) = (Arc::clone(file.deletes()?), file.max_seq());
        let key = Vec::new();
        let mut cursor = Self { reader, max_seq, deletes, ahead: start..end, reverse, row: None, key };
        cursor.advance()?;
        Ok(cursor.row.is_some().then_some(cursor))
    }

    /// Picks its row and those that follow it in their batch, `room` rows at most and none beyond the key `bound`; moves
    /// past them. Nothing else may be at a key before `bound`.
    pub(super) fn pick_run(&mut self, bound: Option<&[u8]>, room: usize, gather: &mut Gather) -> Result<()> {
        let Some(row) = self.row else { return Ok(()) };
        let run = self.run(row, bound, room as u64)?;
        let is_live = |row: &u64| !self.deletes.contains(*row as u32);
        if self.reverse {
            self.ahead.end = run.start;
            gather.push_rows(&self.reader, row, run.rev().filter(is_live))?;
        } else {
            self.ahead.start = run.end;
            gather.push_rows(&self.reader, row, run.filter(is_live))?;
        }
        self.advance()
    }

    /// Rows of the batch of `row`, from it up to `bound` in the direction of the walk, live or not.
    fn run(&self, row: u64, bound: Option<&[u8]>, room: u64) -> Result<Range<u64>> {
        let batch = self.reader.batch_rows(self.reader.batch_of_row(row));
        if self.reverse {
            let least = batch.start.max(self.ahead.start).max((row + 1).saturating_sub(room));
            // The key that comes after the bound.
            let beyond = bound.map(|bound| [bound, &[0]].concat());
            let start = beyond.map(|key| self.reader.lower_bound_within(least..row, &key)).transpose()?;
            return Ok(start.unwrap_or(least)..row + 1);
        }
        let most = batch.end.min(self.ahead.end).min(row.saturating_add(room));
        let end = bound.map(|bound| self.reader.lower_bound_within(row + 1..most, bound)).transpose()?;
        Ok(row..end.unwrap_or(most))
    }

    /// Moves to the next row that is not deleted.
    pub(super) fn advance(&mut self) -> Result<()> {
        let deletes = &self.deletes;
        let is_live = |row: &u64| !deletes.contains(*row as u32);
        self.row =
            if self.reverse { self.ahead.by_ref().rev().find(is_live) } else { self.ahead.find(is_live) };
        match self.row {
            Some(row) => self.reader.copy_key(row, &mut self.key),
            None => Ok(()),
        }
    }
}

/// Entries walked while the memtable's writer waits.
const RUN_MAX: usize = 256;

/// A place in a memtable.
#[derive(Debug)]
pub(super) struct MemCursor {
    memtable: Arc<MemTable>,
    limit: u32,
    walk: Walk,
    reverse: bool,
    /// The entry it is at, and its key; `None` at the end.
    pub(super) found: Option<Found>,
    pub(super) key: Vec<u8>,
}

impl MemCursor {
    /// At the first entry of the range below `limit`; `None` when there is none.
    pub(super) fn open(
        memtable: &Arc<MemTable>,
        limit: u32,
        span: &Span,
        reverse: bool,
    ) -> Result<Option<Self>> {
        if limit == 0 {
            return Ok(None);
        }
        let from = match (reverse, span.end()) {
            (false, _) => From::Key(span.start()),
            (true, Some(end)) => From::Key(end),
            (true, None) => From::End,
        };
        memtable.seal(limit)?;
        let (memtable, walk) = (Arc::clone(memtable), memtable.walk(from, reverse));
        let mut cursor = Self { memtable, limit, walk, reverse, found: None, key: Vec::new() };
        cursor.advance(span);
        Ok(cursor.found.is_some().then_some(cursor))
    }

    /// Moves to the next entry of the range.
    pub(super) fn advance(&mut self, span: &Span) {
        let reading = self.memtable.read();
        self.found = None;
        while let Some((chunk, offset)) = reading.step(&mut self.walk, self.limit, &mut self.key) {
            if span.contains(&self.key) {
                self.found = Some(Found::new(chunk, offset));
                return;
            }
            // Downwards, a walk begins at the end of the range, which is not part of it.
            if !(self.reverse && span.end().is_some_and(|end| self.key.as_slice() >= end)) {
                return;
            }
        }
    }

    /// Picks the row it is at and those that follow it before the key `bound`, `room` rows at most; moves past them. Nothing else may be at a key before `bound`.
    pub(super) fn pick_run(
        &mut self,
        span: &Span,
        bound: Option<&[u8]>,
        room: usize,
        gather: &mut Gather,
    ) -> Result<()> {
        let Some(found) = self.found.take() else { return Ok(()) };
        if !found.is_deletion() {
            gather.push_entry(&found.chunk, found.offset)?;
        }
        let reading = self.memtable.read();
        for left in (0..room.min(RUN_MAX)).rev() {
            let step = reading.step(&mut self.walk, self.limit, &mut self.key);
            let Some((chunk, offset)) = step.filter(|_| span.contains(&self.key)) else { return Ok(()) };
            let key = self.key.as_slice();
            let is_beyond = bound.is_some_and(|bound| if self.reverse { key <= bound } else { key >= bound });
            if left == 0 || is_beyond {
                self.found = Some(Found::new(chunk, offset));
                return Ok(());
            }
            if chunk.rows.is_some() {
                gather.push_entry(chunk, offset)?;
            }
        }
        Ok(())
    }
}

//! The history of one key: its row in every version that is kept, where it changed.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};

use super::adapt::Shape;
use super::stretch::Stretch;
use super::{Change, ChangeKind};
use crate::common::{Result, SeqNo};
use crate::db::core::Core;
use crate::db::view::TableView;
use crate::format::table::TableName;
use crate::lsm::{Published, TableState};

/// What a key's row was, version by version.
struct Steps {
    shape: Shape,
    key: Vec<u8>,
    row: Option<RecordBatch>,
    changes: Vec<Change>,
}

impl Core {
    /// What happened to a key's row, oldest first.
    pub fn history(self: &Arc<Self>, name: &TableName, key: &[ArrayRef]) -> Result<Vec<Change>> {
        let newest = self.snapshot()?;
        let view = newest.table(name)?;
        let key = view.encoded_key(key)?;
        let mut steps = Steps { shape: Shape::of(view.def()), key, row: None, changes: Vec::new() };
        let mut at = self.oldest_kept()?;
        steps.look(&self.looking(|| self.read_at(at))?)?;
        while at < newest.seq() {
            let Stretch { published, until } = self.looking(|| self.stretch(at, newest.seq()))?;
            if until > at {
                steps.follow(&published, at)?;
                at = until;
            } else {
                at = self.next_kept(at)?;
                steps.look(&self.looking(|| self.read_at(at))?)?;
            }
        }
        Ok(steps.changes)
    }

    fn oldest_kept(&self) -> Result<SeqNo> {
        self.refresh()?;
        let ranges = self.maintenance.lock().manifest.kept_versions();
        Ok(ranges.first().map(|range| range.start).unwrap_or_default())
    }
}

impl Steps {
    /// The row as one version has it.
    fn look(&mut self, now: &Published) -> Result<()> {
        let Some(table) = self.shape.table_in(&now.state) else {
            return self.note(now, now.seq(), None);
        };
        let view = TableView::new(Arc::clone(&table), now.seq()).at(now.state.clock.now());
        let row = view.get_encoded(&self.key, None)?;
        let row = row.map(|row| self.shape.adapt(&row, view.def())).transpose()?;
        if row == self.row { Ok(()) } else { self.note(now, now.seq(), row) }
    }

    /// What the commits after `after` did to it.
    fn follow(&mut self, now: &Published, after: SeqNo) -> Result<()> {
        let Some(table) = self.shape.table_in(&now.state) else { return Ok(()) };
        for seq in self.touched(&table, after, now.seq()) {
            let view = TableView::new(Arc::clone(&table), seq).at(now.state.clock.now());
            let row = view.get_encoded(&self.key, None)?;
            let row = row.map(|row| self.shape.adapt(&row, view.def())).transpose()?;
            self.note(now, seq, row)?;
        }
        Ok(())
    }

    /// The commits that wrote the key.
    fn touched(&self, table: &TableState, after: SeqNo, until: SeqNo) -> Vec<SeqNo> {
        let mut seqs = Vec::new();
        for memtable in table.memtables() {
            let mut limit = memtable.limit(until);
            while let Some(found) = memtable.newest(&self.key, limit).filter(|found| found.seq > after) {
                seqs.push(found.seq);
                limit = memtable.limit(SeqNo(found.seq.0 - 1));
            }
        }
        seqs.sort_unstable();
        seqs.dedup();
        seqs
    }

    fn note(&mut self, now: &Published, version: SeqNo, row: Option<RecordBatch>) -> Result<()> {
        let before = std::mem::replace(&mut self.row, row.clone());
        let (kind, rows) = match (before, row) {
            (None, Some(row)) => (ChangeKind::Insert, row),
            (Some(_), Some(row)) => (ChangeKind::Update, row),
            (Some(row), None) => (ChangeKind::Delete, row),
            (None, None) => return Ok(()),
        };
        let millis = now.state.times.of(version).unwrap_or_default();
        self.changes.push(Change { version, millis, kind, rows });
        Ok(())
    }
}

//! The rows in which two versions of a table differ. Files that both hold with the same deletions are passed over.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::UInt64Type;
use roaring::RoaringTreemap;

use super::ChangeKind;
use super::adapt::Shape;
use super::merge::Merge;
use crate::common::{Result, SeqNo};
use crate::db::scan::ScanPart;
use crate::db::view::TableView;
use crate::format::table::TableDef;
use crate::lsm::{TableFile, TableState};

/// A table, and the version that counts of it.
type Side = Option<(Arc<TableState>, SeqNo)>;

/// The differences between two versions, batch by batch, read as they are consumed.
pub(super) struct Difference {
    shape: Shape,
    pending: VecDeque<(ChangeKind, RecordBatch)>,
    /// Of tables without a key, and of different tables.
    reads: VecDeque<Read>,
    /// Of one keyed table.
    merge: Option<Merge>,
}

/// A batch whose rows, but for some, are in one version alone.
struct Read {
    kind: ChangeKind,
    def: Arc<TableDef>,
    part: ScanPart,
    batch: usize,
    /// Row ids that the other version has too.
    shared: Option<Arc<RoaringTreemap>>,
}

impl Difference {
    /// Compares `[before, after]`, at `time` for rows that expire.
    pub(super) fn new([before, after]: [Side; 2], time: i64, shape: Shape) -> Result<Self> {
        let mut found =
            Self { shape: shape.clone(), pending: VecDeque::new(), reads: VecDeque::new(), merge: None };
        let (before, after) = match (before, after) {
            (Some(before), Some(after)) if before.0.def.id == after.0.def.id => (before, after),
            others => {
                for (side, kind) in [(others.0, ChangeKind::Delete), (others.1, ChangeKind::Insert)] {
                    let view = side.map(|(table, seq)| TableView::new(table, seq).at(time));
                    view.map_or(Ok(()), |view| found.read_all(&view, kind, None))?;
                }
                return Ok(found);
            }
        };
        let left = TableView::new(without(&before.0, &after.0.files), before.1).at(time);
        let right = TableView::new(without(&after.0, &before.0.files), after.1).at(time);
        if right.def().is_keyed() {
            found.merge = Some(Merge::new(&left, &right, shape)?);
        } else {
            let (had, has) = (row_ids(&left)?, row_ids(&right)?);
            found.read_all(&left, ChangeKind::Delete, Some(has))?;
            found.read_all(&right, ChangeKind::Insert, Some(had))?;
        }
        Ok(found)
    }

    fn read_all(
        &mut self,
        view: &TableView,
        kind: ChangeKind,
        shared: Option<Arc<RoaringTreemap>>,
    ) -> Result<()> {
        for part in view.parts()? {
            self.reads.extend((0..part.num_batches()).map(|batch| Read {
                kind,
                def: Arc::clone(view.def()),
                part: part.clone(),
                batch,
                shared: shared.clone(),
            }));
        }
        Ok(())
    }

    fn step(&mut self) -> Result<Option<(ChangeKind, RecordBatch)>> {
        loop {
            if let Some(found) = self.pending.pop_front() {
                return Ok(Some(found));
            }
            if let Some(read) = self.reads.pop_front() {
                let rows = read.rows()?;
                if rows.num_rows() > 0 {
                    return Ok(Some((read.kind, self.shape.adapt(&rows, &read.def)?)));
                }
                continue;
            }
            let Some(merge) = &mut self.merge else { return Ok(None) };
            self.pending = merge.step()?;
            if self.pending.is_empty() {
                return Ok(None);
            }
        }
    }
}

impl Iterator for Difference {
    type Item = Result<(ChangeKind, RecordBatch)>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.step();
        if found.is_err() {
            (self.reads, self.merge) = (VecDeque::new(), None);
        }
        found.transpose()
    }
}

impl Read {
    fn rows(&self) -> Result<RecordBatch> {
        let columns: Vec<usize> = (0..self.def.columns.len()).collect();
        let Some(shared) = &self.shared else { return self.part.read(self.batch, &columns, false) };
        let rows = self.part.read(self.batch, &columns, true)?;
        let ids = rows.column(columns.len()).as_primitive::<UInt64Type>();
        let alone: BooleanArray = ids.values().iter().map(|id| Some(!shared.contains(*id))).collect();
        Ok(filter_record_batch(&rows.project(&columns)?, &alone)?)
    }
}

/// The table without the files that are in `others` with the same deletions.
fn without(table: &TableState, others: &[Arc<TableFile>]) -> Arc<TableState> {
    let is_same = |a: &TableFile, b: &TableFile| {
        let unstored = a.is_unstored() || b.is_unstored();
        a.id() == b.id()
            && !unstored
            && a.stored_deletes() == b.stored_deletes()
            && a.dead_rows() == b.dead_rows()
    };
    let differs = |file: &&Arc<TableFile>| !others.iter().any(|other| is_same(file, other));
    let files = table.files.iter().filter(differs).map(Arc::clone).collect();
    Arc::new(table.replace(Some(files), table.frozen.clone(), Arc::clone(&table.active)))
}

fn row_ids(view: &TableView) -> Result<Arc<RoaringTreemap>> {
    let mut ids = RoaringTreemap::new();
    for part in view.parts()? {
        for batch in 0..part.num_batches() {
            let rows = part.read(batch, &[], true)?;
            ids.extend(rows.column(0).as_primitive::<UInt64Type>().values().iter().copied());
        }
    }
    Ok(Arc::new(ids))
}

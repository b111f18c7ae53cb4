//! Two versions of a keyed table, walked side by side in the order of their keys.

use std::cmp::Ordering;
use std::collections::VecDeque;

use arrow::array::{BinaryArray, RecordBatch};
use arrow::compute::interleave_record_batch;

use super::ChangeKind;
use super::adapt::Shape;
use crate::common::{Error, Result};
use crate::db::range::RangeScan;
use crate::db::view::TableView;
use crate::lsm::KeyRange;

/// Changes that are gathered before they are handed on.
const ROWS: usize = 8192;

/// The walk.
pub(super) struct Merge {
    before: Walk,
    after: Walk,
}

/// One version, at one of its rows.
struct Walk {
    view: TableView,
    scan: RangeScan,
    shape: Shape,
    /// The batch it is in, as it is given out, and the keys of its rows.
    batch: Option<(RecordBatch, BinaryArray)>,
    row: usize,
    /// Batches that rows were picked from since the last time, the present one last.
    used: Vec<RecordBatch>,
}

/// Rows picked from the batches of a walk.
type Places = Vec<(usize, usize)>;

impl Merge {
    pub(super) fn new(before: &TableView, after: &TableView, shape: Shape) -> Result<Self> {
        Ok(Self { before: Walk::open(before, shape.clone())?, after: Walk::open(after, shape)? })
    }

    /// The next changes; none at the end.
    pub(super) fn step(&mut self) -> Result<VecDeque<(ChangeKind, RecordBatch)>> {
        let (mut came, mut changed, mut went) = (Places::new(), Places::new(), Places::new());
        self.before.forget();
        self.after.forget();
        while came.len() + changed.len() + went.len() < ROWS {
            let order = match (self.before.key(), self.after.key()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(before), Some(after)) => before.cmp(after),
            };
            match order {
                Ordering::Less => went.push(self.before.place()),
                Ordering::Greater => came.push(self.after.place()),
                Ordering::Equal if self.before.row()? != self.after.row()? => {
                    changed.push(self.after.place())
                }
                Ordering::Equal => {}
            }
            if order != Ordering::Greater {
                self.before.advance()?;
            }
            if order != Ordering::Less {
                self.after.advance()?;
            }
        }
        let mut found = VecDeque::new();
        for (kind, walk, places) in [
            (ChangeKind::Insert, &self.after, came),
            (ChangeKind::Update, &self.after, changed),
            (ChangeKind::Delete, &self.before, went),
        ] {
            if !places.is_empty() {
                let batches: Vec<&RecordBatch> = walk.used.iter().collect();
                found.push_back((kind, interleave_record_batch(&batches, &places)?));
            }
        }
        Ok(found)
    }
}

impl Walk {
    fn open(view: &TableView, shape: Shape) -> Result<Self> {
        let scan = view.range(&KeyRange::ALL, false, None, None)?;
        let mut walk = Self { view: view.clone(), scan, shape, batch: None, row: 0, used: Vec::new() };
        walk.load()?;
        Ok(walk)
    }

    fn load(&mut self) -> Result<()> {
        (self.batch, self.row) = (None, 0);
        if let Some(rows) = self.scan.next().transpose()? {
            let keys = self.view.codec()?.encode(&self.view.def().key_arrays(&rows))?;
            let rows = self.shape.adapt(&rows, self.view.def())?;
            self.used.push(rows.clone());
            self.batch = Some((rows, keys));
        }
        Ok(())
    }

    fn key(&self) -> Option<&[u8]> {
        self.batch.as_ref().map(|(_, keys)| keys.value(self.row))
    }

    fn row(&self) -> Result<RecordBatch> {
        let (rows, _) = self.batch.as_ref().ok_or_else(|| Error::Internal("a row beyond the last".into()))?;
        Ok(rows.slice(self.row, 1))
    }

    fn place(&self) -> (usize, usize) {
        (self.used.len() - 1, self.row)
    }

    fn advance(&mut self) -> Result<()> {
        self.row += 1;
        match &self.batch {
            Some((rows, _)) if self.row >= rows.num_rows() => self.load(),
            _ => Ok(()),
        }
    }

    /// Lets go of the batches that are done with.
    fn forget(&mut self) {
        let present = self.used.pop().filter(|_| self.batch.is_some());
        self.used = present.into_iter().collect();
    }
}

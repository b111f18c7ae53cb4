//! Row ids of a keyless SSTable, as runs: ids are handed out in blocks, so a file has few of them.

use std::ops::Range;

use arrow::array::UInt64Array;

use crate::common::RowId;

/// Rows whose ids follow one another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RowIdRun {
    /// First row of the run.
    pub first_row: u64,
    /// Its id.
    pub first_id: RowId,
}

/// The ids of rows `0..rows`, strictly ascending.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RowIdRuns {
    runs: Vec<RowIdRun>,
    rows: u64,
}

impl RowIdRuns {
    /// Checks that the runs cover `rows` rows with ascending ids; `None` when they do not.
    #[must_use]
    pub fn new(runs: Vec<RowIdRun>, rows: u64) -> Option<Self> {
        let starts_at_zero = runs.first().map_or(rows == 0, |run| run.first_row == 0);
        let ascending = runs.is_sorted_by(|a, b| {
            a.first_row < b.first_row
                && a.first_id.0.checked_add(b.first_row - a.first_row).is_some_and(|end| end <= b.first_id.0)
        });
        let last_fits = runs.last().is_none_or(|run| {
            run.first_row < rows && run.first_id.0.checked_add(rows - run.first_row).is_some()
        });
        (starts_at_zero && ascending && last_fits).then_some(Self { runs, rows })
    }

    /// Runs of the given ids, in their order.
    #[must_use]
    pub fn from_ids(ids: &[u64]) -> Option<Self> {
        let mut runs: Vec<RowIdRun> = Vec::new();
        for (row, id) in ids.iter().enumerate() {
            if row == 0 || ids[row - 1].checked_add(1) != Some(*id) {
                runs.push(RowIdRun { first_row: row as u64, first_id: RowId(*id) });
            }
        }
        Self::new(runs, ids.len() as u64)
    }

    /// `rows` ids that follow one another.
    #[must_use]
    pub fn contiguous(first_id: RowId, rows: u64) -> Option<Self> {
        let run = RowIdRun { first_row: 0, first_id };
        Self::new(if rows == 0 { vec![] } else { vec![run] }, rows)
    }

    /// Appends rows whose ids follow all ids here; false, and no change, when they do not.
    #[must_use]
    pub fn append(&mut self, more: &Self) -> bool {
        let (Some(next), Some(last)) = (more.runs.first(), self.last_id()) else {
            if self.rows == 0 {
                self.clone_from(more);
            }
            return true;
        };
        if next.first_id <= last {
            return false;
        }
        let joined = usize::from(next.first_id == last.next());
        let shift = self.rows;
        let moved = |run: &RowIdRun| RowIdRun { first_row: run.first_row + shift, ..*run };
        self.runs.extend(more.runs.iter().skip(joined).map(moved));
        self.rows += more.rows;
        true
    }

    /// The runs.
    #[must_use]
    pub fn runs(&self) -> &[RowIdRun] {
        &self.runs
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Id of the first row.
    #[must_use]
    pub fn first_id(&self) -> Option<RowId> {
        self.runs.first().map(|run| run.first_id)
    }

    /// Id of the last row.
    #[must_use]
    pub fn last_id(&self) -> Option<RowId> {
        self.runs.last().map(|run| RowId(run.first_id.0 + (self.rows - 1 - run.first_row)))
    }

    /// Rows of run `index`.
    fn rows_of(&self, index: usize) -> Range<u64> {
        let end = self.runs.get(index + 1).map_or(self.rows, |next| next.first_row);
        self.runs[index].first_row..end
    }

    /// Row with this id.
    #[must_use]
    pub fn find(&self, id: RowId) -> Option<u64> {
        let row = self.lower_bound(id);
        (row < self.rows && self.id_of(row) == Some(id)).then_some(row)
    }

    /// First row whose id is not less than `id`; the number of rows when there is none.
    #[must_use]
    pub fn lower_bound(&self, id: RowId) -> u64 {
        let Some(index) = self.runs.partition_point(|run| run.first_id <= id).checked_sub(1) else {
            return 0;
        };
        let rows = self.rows_of(index);
        rows.start.saturating_add(id.0 - self.runs[index].first_id.0).min(rows.end)
    }

    /// Id of a row.
    #[must_use]
    pub fn id_of(&self, row: u64) -> Option<RowId> {
        let index = self.runs.partition_point(|run| run.first_row <= row).checked_sub(1)?;
        let run = self.runs[index];
        (row < self.rows).then(|| RowId(run.first_id.0 + (row - run.first_row)))
    }

    /// Ids of some rows.
    #[must_use]
    pub fn ids(&self, rows: Range<u64>) -> UInt64Array {
        let first = self.runs.partition_point(|run| run.first_row <= rows.start).saturating_sub(1);
        let mut ids = Vec::with_capacity(rows.end.min(self.rows).saturating_sub(rows.start) as usize);
        for (index, run) in self.runs.iter().enumerate().skip(first) {
            let own = self.rows_of(index);
            if own.start >= rows.end {
                break;
            }
            let (start, end) = (own.start.max(rows.start), own.end.min(rows.end));
            ids.extend((start..end).map(|row| run.first_id.0 + (row - run.first_row)));
        }
        UInt64Array::from(ids)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn runs_that_overlap_or_leave_rows_out_are_refused() {
        let run = |first_row, id| RowIdRun { first_row, first_id: RowId(id) };
        assert!(RowIdRuns::new(vec![run(1, 0)], 2).is_none());
        assert!(RowIdRuns::new(vec![], 2).is_none());
        assert!(RowIdRuns::new(vec![run(0, 5), run(3, 7)], 4).is_none());
        assert!(RowIdRuns::new(vec![run(0, u64::MAX)], 2).is_none());
        assert!(RowIdRuns::from_ids(&[3, 2]).is_none());
        assert!(!RowIdRuns::from_ids(&[3]).unwrap().append(&RowIdRuns::from_ids(&[3]).unwrap()));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn runs_answer_as_the_list_of_ids_does(set in prop::collection::btree_set(0..60u64, 1..40), cut in 0..40usize) {
            let ids: Vec<u64> = set.into_iter().collect();
            let cut = cut.min(ids.len());
            let mut runs = RowIdRuns::from_ids(&ids[..cut]).unwrap();
            prop_assert!(runs.append(&RowIdRuns::from_ids(&ids[cut..]).unwrap()));
            prop_assert_eq!(&runs, &RowIdRuns::from_ids(&ids).unwrap());
            for id in 0..61 {
                let expected = ids.iter().position(|i| *i == id).map(|row| row as u64);
                prop_assert_eq!(runs.find(RowId(id)), expected);
                prop_assert_eq!(runs.lower_bound(RowId(id)), ids.partition_point(|i| *i < id) as u64);
            }
            for row in 0..=ids.len() {
                prop_assert_eq!(runs.id_of(row as u64), ids.get(row).map(|id| RowId(*id)));
                let rows = row as u64 / 2..row as u64;
                prop_assert_eq!(runs.ids(rows), UInt64Array::from(ids[row / 2..row].to_vec()));
            }
        }
    }
}

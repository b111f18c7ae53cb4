//! The nearest rows of each group, by the values of its columns.
//!
//! Groups are told apart by their values as bytes that sort as the values do, nulls last and alike.

use std::collections::HashMap;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::error::Result;

use crate::query::search::nearest::{Nearest, Placement};

/// A row of the result.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ranked {
    /// Its number among all that are searched.
    pub id: u64,
    pub distance: Option<f64>,
    /// Its place in its group, from 1.
    pub rank: u64,
}

/// Collects at most `k` rows of each group.
pub(super) struct Groups {
    k: usize,
    keys: RowConverter,
    numbers: HashMap<Box<[u8]>, usize>,
    nearest: Vec<Nearest>,
}

impl Groups {
    /// None yet.
    ///
    /// # Errors
    /// When values of such a type cannot be told apart.
    pub(super) fn new<'a>(k: usize, types: impl Iterator<Item = &'a DataType>) -> Result<Self> {
        let options = SortOptions { descending: false, nulls_first: false };
        let fields = types.map(|of| SortField::new_with_options(of.clone(), options)).collect();
        Ok(Self { k, keys: RowConverter::new(fields)?, numbers: HashMap::new(), nearest: vec![] })
    }

    /// The numbers of the groups of these rows, in their order.
    ///
    /// # Errors
    /// When the columns are of other types.
    pub(super) fn of_rows(
        &mut self,
        columns: &[ArrayRef],
        rows: impl Iterator<Item = usize>,
    ) -> Result<Vec<usize>> {
        let keys = self.keys.convert_columns(columns)?;
        Ok(rows.map(|row| self.number(keys.row(row).data())).collect())
    }

    fn number(&mut self, key: &[u8]) -> usize {
        if let Some(number) = self.numbers.get(key) {
            return *number;
        }
        self.nearest.push(Nearest::new(self.k));
        self.numbers.insert(key.into(), self.nearest.len() - 1);
        self.nearest.len() - 1
    }

    /// Rows farther than this are none of the `k` nearest of a group: infinite until `k` are held.
    pub(super) fn threshold(&self, group: usize) -> f64 {
        self.nearest[group].threshold()
    }

    /// Offers a row; the ids of one collector come in ascending order.
    pub(super) fn push(&mut self, group: usize, id: u64, distance: Option<f64>) {
        self.nearest[group].push(id, distance);
    }

    /// Takes over the rows of another collector.
    pub(super) fn merge(&mut self, mut other: Self) {
        for (key, number) in std::mem::take(&mut other.numbers) {
            let rows = std::mem::replace(&mut other.nearest[number], Nearest::new(0));
            let own = self.number(&key);
            self.nearest[own].merge(rows);
        }
    }

    /// The rows, group by group in the order of their values, and in each the first first.
    pub(super) fn into_rows(mut self, placement: Placement) -> Vec<Ranked> {
        let mut groups: Vec<_> = self.numbers.into_iter().collect();
        groups.sort_unstable();
        let of_group = |(_, number): (Box<[u8]>, usize)| {
            let rows = std::mem::replace(&mut self.nearest[number], Nearest::new(0)).into_rows(placement);
            (1..).zip(rows).map(|(rank, (id, distance))| Ranked { id, distance, rank })
        };
        groups.into_iter().flat_map(of_group).collect()
    }
}

//! The best rows seen so far, in the order that `ORDER BY distance` would give.
//!
//! Distances that are numbers compete in a [`TopK`]; rows without one (a null vector, or a distance
//! that is NaN) stand before or after all others, in scan order, so of each only the first `k` are
//! kept. Invariant: the result does not depend on who scanned what when: ties go to the lower id.

use trilith_udfs::kernels::{Neighbor, TopK};

/// Where rows stand that have no vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nulls {
    /// Before all others.
    First,
    /// After all others.
    Last,
    /// Nowhere: a condition rules them out.
    Excluded,
}

/// Where rows stand that have no distance to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    /// Rows without a vector.
    pub nulls: Nulls,
    /// The order is descending, in which NaN comes first.
    pub nan_first: bool,
}

/// Collects at most `k` rows.
#[derive(Debug)]
pub(super) struct Nearest {
    k: usize,
    near: TopK,
    nan: Vec<u64>,
    null: Vec<u64>,
}

impl Nearest {
    pub(super) fn new(k: usize) -> Self {
        Self { k, near: TopK::new(k), nan: vec![], null: vec![] }
    }

    /// Offers a row; the ids of one collector come in ascending order.
    #[inline]
    pub(super) fn push(&mut self, id: u64, distance: Option<f64>) {
        match distance {
            Some(distance) if !distance.is_nan() => self.near.push(distance, id),
            Some(_) if self.nan.len() < self.k => self.nan.push(id),
            None if self.null.len() < self.k => self.null.push(id),
            _ => {}
        }
    }

    /// Rows farther than this are none of the `k` nearest: infinite until `k` are held.
    pub(super) fn threshold(&self) -> f64 {
        self.near.threshold()
    }

    /// Takes over the rows of another collector.
    pub(super) fn merge(&mut self, other: Self) {
        self.near.merge(other.near);
        for (mine, others) in [(&mut self.nan, other.nan), (&mut self.null, other.null)] {
            mine.extend(others);
            mine.sort_unstable();
            mine.truncate(self.k);
        }
    }

    /// The `k` first rows that have a distance, in order.
    pub(super) fn into_near(self) -> Vec<Neighbor> {
        self.near.into_sorted()
    }

    /// The `k` first rows, in order, and their distances.
    pub(super) fn into_rows(self, placement: Placement) -> Vec<(u64, Option<f64>)> {
        let near = self.near.into_sorted().into_iter().map(|near| (near.id, Some(near.distance)));
        let nan = self.nan.into_iter().map(|id| (id, Some(f64::NAN)));
        let null = self.null.into_iter().map(|id| (id, None));
        let numbers: Vec<_> = match placement.nan_first {
            true => nan.chain(near).collect(),
            false => near.chain(nan).collect(),
        };
        let mut rows: Vec<_> = match placement.nulls {
            Nulls::First => null.chain(numbers).collect(),
            Nulls::Last => numbers.into_iter().chain(null).collect(),
            Nulls::Excluded => numbers,
        };
        rows.truncate(self.k);
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(k: usize, rows: &[Option<f64>], cut: usize, placement: Placement) -> Vec<u64> {
        let (mut left, mut right) = (Nearest::new(k), Nearest::new(k));
        for (id, distance) in (0..).zip(rows) {
            let part = if (id as usize) < cut { &mut left } else { &mut right };
            part.push(id, *distance);
        }
        right.merge(left);
        right.into_rows(placement).into_iter().map(|(id, _)| id).collect()
    }

    #[test]
    fn rows_without_a_distance_stand_where_the_order_puts_them() {
        let rows = [None, Some(2.0), Some(f64::NAN), Some(1.0), None, Some(1.0)];
        for cut in 0..=rows.len() {
            let last = Placement { nulls: Nulls::Last, nan_first: false };
            assert_eq!(ids(9, &rows, cut, last), [3, 5, 1, 2, 0, 4]);
            assert_eq!(ids(2, &rows, cut, last), [3, 5]);
            assert_eq!(ids(5, &rows, cut, last), [3, 5, 1, 2, 0]);
            let first = Placement { nulls: Nulls::First, nan_first: true };
            assert_eq!(ids(9, &rows, cut, first), [0, 4, 2, 3, 5, 1]);
            assert_eq!(ids(1, &rows, cut, first), [0]);
            let none = Placement { nulls: Nulls::Excluded, nan_first: false };
            assert_eq!(ids(9, &rows, cut, none), [3, 5, 1, 2]);
        }
    }
}

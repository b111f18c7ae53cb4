//! Rows ruled out by their codes, before their vectors are read.
//!
//! The codes of a unit give each row a lower bound of its distance. A row whose bound is beyond the `k`-th distance
//! found so far, by any task, cannot be among the nearest; before there are `k`, the `k`-th upper bound of the unit
//! stands in. What is left is compared exactly, so the answer is that of a search without codes.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::error::Result;
use datafusion::physical_plan::metrics::Count;
use trilith_engine::index::{CodedQuery, CodedRows, Side, VectorCodes};
use trilith_udfs::kernels::TopK;
use trilith_udfs::vector::VectorQuery;

use crate::query::scan::{ScanPlan, Unit};

/// Of fewer rows than one in this many, the vectors are read at once: they are as long as four codes.
const CODE_SHARE: usize = 4;

/// What a search knows of distances through codes.
#[derive(Debug)]
pub(super) struct Coded {
    query: CodedQuery,
    k: usize,
    /// The least `k`-th distance of any task, as bits: distances are compared, never added, so it needs no lock.
    bound: AtomicU64,
    compared: Count,
}

impl Coded {
    /// `None` when codes say nothing of such distances; `compared` counts the codes that are looked at.
    pub(super) fn new(query: &VectorQuery, k: usize, compared: Count) -> Option<Self> {
        let components: Vec<f32> = query.components().iter().map(|number| *number as f32).collect();
        let query = CodedQuery::new(query.metric(), &components)?;
        Some(Self { query, k, bound: AtomicU64::new(f64::INFINITY.to_bits()), compared })
    }

    /// A task holds `k` rows none of which is farther than `distance`.
    pub(super) fn saw(&self, distance: f64) {
        let lower = |bits| (distance < f64::from_bits(bits)).then_some(distance.to_bits());
        // Failing to lower it means that another task's is lower already.
        let _ = self.bound.fetch_update(Ordering::Relaxed, Ordering::Relaxed, lower);
    }

    /// Those of the selected rows (all when `None`) that may be among the nearest.
    pub(super) fn narrow(
        &self,
        scan: &ScanPlan,
        (unit, vector): (Unit, usize),
        selected: Option<BooleanBuffer>,
        threshold: f64,
    ) -> Result<Option<BooleanBuffer>> {
        let coded = scan.codes(unit, vector)?.filter(|coded| self.query.fits(&coded.codes));
        let Some(CodedRows { codes, rows }) = coded else { return Ok(selected) };
        let wanted = selected.as_ref().map_or(rows.len(), BooleanBuffer::count_set_bits);
        if wanted.max(CODE_SHARE * self.k) * CODE_SHARE < rows.len() || self.k * CODE_SHARE > wanted {
            return Ok(selected);
        }
        self.compared.add(rows.len());
        let near = self.near(&codes, rows, selected.as_ref(), threshold);
        Ok(Some(match selected {
            Some(selected) => &selected & &near,
            None => near,
        }))
    }

    fn near(
        &self,
        codes: &VectorCodes,
        rows: Range<usize>,
        selected: Option<&BooleanBuffer>,
        threshold: f64,
    ) -> BooleanBuffer {
        let (mut dots, mut keys) = (vec![0; rows.len()], vec![0.0; rows.len()]);
        self.query.dots(codes, rows.clone(), &mut dots);
        let known = threshold.min(f64::from_bits(self.bound.load(Ordering::Relaxed)));
        let most = if known == f64::INFINITY {
            self.query.bounds(codes, rows.clone(), &dots, Side::Upper, &mut keys);
            self.kth(&keys, selected)
        } else {
            self.query.key(known)
        };
        self.query.bounds(codes, rows, &dots, Side::Lower, &mut keys);
        // A bound that is no number rules nothing out.
        BooleanBuffer::collect_bool(keys.len(), |row| keys[row].is_nan() || keys[row] <= most)
    }

    /// The `k`-th smallest of the keys of selected rows; infinite when there are fewer.
    fn kth(&self, keys: &[f32], selected: Option<&BooleanBuffer>) -> f32 {
        let mut least = TopK::new(self.k);
        for (row, key) in keys.iter().enumerate() {
            if selected.is_none_or(|selected| selected.value(row)) {
                least.push(f64::from(*key), row as u64);
            }
        }
        least.threshold() as f32
    }
}

#[cfg(test)]
mod tests;

//! Rows ruled out by their codes, before their vectors are read.
//!
//! The codes of a unit give each row a lower bound of its distance. A row whose bound is beyond the `k`-th distance
//! found so far, by any task, cannot be among the nearest; before there are `k`, the `k`-th upper bound of the unit
//! stands in. What is left is compared exactly, so the answer is that of a search without codes. A search that need not
//! find all of the nearest goes through the lists of a file instead (see `lists`).

mod lists;

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::arrow::array::BooleanBufferBuilder;
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::physical_plan::metrics::Count;
use trilith_engine::index::{CodedQuery, CodedRows, Side};
use trilith_udfs::kernels::{TopK, within};
use trilith_udfs::vector::{Effort, VectorQuery};

use crate::query::scan::{ScanPlan, Unit};

/// Of fewer rows than one in this many, the vectors are read at once: they are as long as four codes.
const CODE_SHARE: usize = 4;

/// What a search knows of distances through codes.
#[derive(Debug)]
pub(super) struct Coded {
    query: CodedQuery,
    k: usize,
    /// What is enough of a search that goes through lists or a graph; `None` for all of the nearest.
    effort: Option<Effort>,
    /// Whether rows beyond some distance do not count, however few are found.
    confined: bool,
    /// The least `k`-th distance of any task, as bits: distances are compared, never added, so it needs no lock.
    bound: AtomicU64,
    lists_read: Count,
    rows_walked: Count,
    signs_compared: Count,
    codes_compared: Count,
}

impl Coded {
    /// `None` when codes say nothing of such distances; `counter` gives counters of codes that are looked at.
    pub(super) fn new(
        query: &VectorQuery,
        k: usize,
        effort: Option<Effort>,
        counter: impl Fn(&'static str) -> Count,
    ) -> Option<Self> {
        let components: Vec<f32> = query.components().iter().map(|number| *number as f32).collect();
        let exact = CodedQuery::new(query.metric(), &components)?;
        Some(Self {
            query: match effort {
                Some(effort) => exact.with_recall(effort.recall().unwrap_or(1.0), effort.epsilon()),
                None => exact,
            },
            k,
            effort,
            confined: false,
            bound: AtomicU64::new(f64::INFINITY.to_bits()),
            lists_read: counter("lists_read"),
            rows_walked: counter("rows_walked"),
            signs_compared: counter("signs_compared"),
            codes_compared: counter("codes_compared"),
        })
    }

    /// The same where rows farther than `distance` do not count.
    pub(super) fn confined(self, distance: f64) -> Self {
        self.saw(distance);
        Self { confined: true, ..self }
    }

    /// A task holds `k` rows none of which is farther than `distance`.
    pub(super) fn saw(&self, distance: f64) {
        let lower = |bits| (distance < f64::from_bits(bits)).then_some(distance.to_bits());
        // Failing to lower it means that another task's is lower already.
        let _ = self.bound.fetch_update(Ordering::Relaxed, Ordering::Relaxed, lower);
    }

    /// Those of the selected rows of a unit (all when `None`) that may be among the nearest.
    pub(super) fn narrow(
        &self,
        scan: &ScanPlan,
        (unit, vector): (Unit, usize),
        selected: Option<BooleanBuffer>,
        threshold: f64,
    ) -> Result<Option<BooleanBuffer>> {
        if has_bytes(scan, vector) {
            return Ok(selected);
        }
        let coded = scan.codes(unit, vector)?.filter(|coded| self.query.fits(&coded.codes));
        let Some(CodedRows { codes, rows }) = coded else { return Ok(selected) };
        let wanted = selected.as_ref().map_or(rows.len(), BooleanBuffer::count_set_bits);
        // Before there are `k` rows, so many cannot be ruled out.
        let kept = if self.confined { 0 } else { self.k.saturating_mul(CODE_SHARE) };
        if wanted.max(kept).saturating_mul(CODE_SHARE) < rows.len() || kept > wanted {
            return Ok(selected);
        }
        self.codes_compared.add(rows.len());
        let query = self.query.beside(&codes);
        let integers = query.compare(rows.clone());
        let bounds = |side| query.bounds(rows.clone(), &integers, side);
        let most = self.known(threshold);
        let most = most.unwrap_or_else(|| self.least_of(&bounds(Side::Upper), selected.as_ref()));
        let mut near = within(&bounds(Side::Lower), most);
        if let Some(selected) = &selected {
            near.retain(|row| selected.value(*row));
        }
        Ok(Some(bitmap(0..rows.len(), &near)))
    }

    /// Lower bounds of the keys of a unit's rows, not above which a row may be as near as [`Coded::known`] says; `None` when it has
    /// no codes.
    pub(super) fn lower_bounds(
        &self,
        scan: &ScanPlan,
        (unit, vector): (Unit, usize),
    ) -> Result<Option<Vec<f32>>> {
        let coded = scan.codes(unit, vector)?.filter(|coded| self.query.fits(&coded.codes));
        let Some(CodedRows { codes, rows }) = coded else { return Ok(None) };
        self.codes_compared.add(rows.len());
        let query = self.query.beside(&codes);
        Ok(Some(query.bounds(rows.clone(), &query.compare(rows), Side::Lower)))
    }

    /// The key that no row of the nearest is beyond, once there are as many.
    pub(super) fn known(&self, threshold: f64) -> Option<f32> {
        let known = threshold.min(f64::from_bits(self.bound.load(Ordering::Relaxed)));
        (known < f64::INFINITY).then(|| self.query.key(known))
    }

    /// The greatest of the `k` least keys of selected rows.
    fn least_of(&self, keys: &[f32], selected: Option<&BooleanBuffer>) -> f32 {
        let mut least = TopK::new(self.k);
        for (row, key) in keys.iter().enumerate() {
            if selected.is_none_or(|selected| selected.value(row)) {
                least.push(f64::from(*key), row as u64);
            }
        }
        least.threshold() as f32
    }
}

/// True when the components of a column are bytes: codes of eight bits save nothing then.
fn has_bytes(scan: &ScanPlan, vector: usize) -> bool {
    matches!(scan.schema().field(vector).data_type(),
        DataType::FixedSizeList(item, _) if item.data_type().primitive_width() == Some(1))
}

/// Those of `rows`, in ascending order, as bits of a range of rows.
pub(super) fn bitmap(range: Range<usize>, rows: &[usize]) -> BooleanBuffer {
    let mut bits = BooleanBufferBuilder::new(range.len());
    bits.append_n(range.len(), false);
    rows.iter().for_each(|row| bits.set_bit(*row - range.start, true));
    bits.finish()
}

#[cfg(test)]
pub(super) mod tests;

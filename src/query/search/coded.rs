//! Rows ruled out by their codes, before their vectors are read.
//!
//! The codes of a unit give each row a lower bound of its distance. A row whose bound is beyond the `k`-th distance
//! found so far, by any task, cannot be among the nearest; before there are `k`, the `k`-th upper bound of the unit
//! stands in. What is left is compared exactly, so the answer is that of a search without codes. A search that need not
//! find all of the nearest looks at the codes of one bit first, whose bounds hold as often as its recall asks.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::arrow::array::BooleanBufferBuilder;
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::error::Result;
use datafusion::physical_plan::metrics::Count;
use trilith_engine::index::{Code, CodedQuery, CodedRows, Side, VectorCodes};
use trilith_udfs::kernels::{TopK, within};
use trilith_udfs::vector::VectorQuery;

use crate::query::scan::{ScanPlan, Unit};

/// Of fewer rows than one in this many, the vectors are read at once: they are as long as four codes.
const CODE_SHARE: usize = 4;

/// What a search knows of distances through codes.
#[derive(Debug)]
pub(super) struct Coded {
    query: CodedQuery,
    k: usize,
    /// Whether codes of one bit are looked at first.
    by_signs: bool,
    /// The least `k`-th distance of any task, as bits: distances are compared, never added, so it needs no lock.
    bound: AtomicU64,
    signs_compared: Count,
    codes_compared: Count,
}

impl Coded {
    /// `None` when codes say nothing of such distances; `counter` gives counters of codes that are looked at.
    pub(super) fn new(
        query: &VectorQuery,
        k: usize,
        recall: Option<f64>,
        counter: impl Fn(&'static str) -> Count,
    ) -> Option<Self> {
        let components: Vec<f32> = query.components().iter().map(|number| *number as f32).collect();
        let exact = CodedQuery::new(query.metric(), &components)?;
        Some(Self {
            query: match recall {
                Some(recall) => exact.with_recall(recall),
                None => exact,
            },
            k,
            by_signs: recall.is_some(),
            bound: AtomicU64::new(f64::INFINITY.to_bits()),
            signs_compared: counter("signs_compared"),
            codes_compared: counter("codes_compared"),
        })
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
        let known = threshold.min(f64::from_bits(self.bound.load(Ordering::Relaxed)));
        let most = (known < f64::INFINITY).then(|| self.query.key(known));
        let (count, selected) = (rows.len(), selected.as_ref());
        let near = match self.by_signs {
            true => self.by_signs(&codes, rows, selected, most),
            false => self.by_bytes(&codes, rows, selected, most),
        };
        Ok(Some(bitmap(count, &near)))
    }

    fn by_bytes(
        &self,
        codes: &VectorCodes,
        rows: Range<usize>,
        selected: Option<&BooleanBuffer>,
        most: Option<f32>,
    ) -> Vec<usize> {
        self.codes_compared.add(rows.len());
        let integers = self.query.compare(codes, rows.clone(), Code::Bytes);
        let bounds = |side| self.query.bounds(codes, rows.clone(), &integers, Code::Bytes, side);
        let most = most.unwrap_or_else(|| self.least_of(&bounds(Side::Upper), selected).threshold() as f32);
        near(&bounds(Side::Lower), most, selected)
    }

    fn by_signs(
        &self,
        codes: &VectorCodes,
        rows: Range<usize>,
        selected: Option<&BooleanBuffer>,
        most: Option<f32>,
    ) -> Vec<usize> {
        self.signs_compared.add(rows.len());
        let integers = self.query.compare(codes, rows.clone(), Code::Signs);
        let lower = self.query.bounds(codes, rows.clone(), &integers, Code::Signs, Side::Lower);
        let of_row = |row: usize, side| self.query.bound(codes, rows.start + row, side);
        let most = most.unwrap_or_else(|| {
            // Those that look nearest are looked at more closely: none of the nearest is farther than all of them.
            let first = self.least_of(&lower, selected).into_sorted();
            self.codes_compared.add(first.len());
            let closer = first.iter().map(|near| (near.id as usize, of_row(near.id as usize, Side::Upper)));
            self.least(closer).threshold() as f32
        });
        let mut near = near(&lower, most, selected);
        self.codes_compared.add(near.len());
        near.retain(|row| {
            let bound = of_row(*row, Side::Lower);
            bound.is_nan() || bound <= most
        });
        near
    }

    /// The `k` least of the keys of selected rows.
    fn least_of(&self, keys: &[f32], selected: Option<&BooleanBuffer>) -> TopK {
        let keys = keys.iter().copied().enumerate();
        self.least(keys.filter(|(row, _)| selected.is_none_or(|selected| selected.value(*row))))
    }

    /// The `k` least of these keys.
    fn least(&self, keys: impl Iterator<Item = (usize, f32)>) -> TopK {
        let mut least = TopK::new(self.k);
        keys.for_each(|(row, key)| least.push(f64::from(key), row as u64));
        least
    }
}

/// The selected rows whose bound is not beyond `most`.
fn near(bounds: &[f32], most: f32, selected: Option<&BooleanBuffer>) -> Vec<usize> {
    let mut rows = within(bounds, most);
    if let Some(selected) = selected {
        rows.retain(|row| selected.value(*row));
    }
    rows
}

fn bitmap(count: usize, rows: &[usize]) -> BooleanBuffer {
    let mut bits = BooleanBufferBuilder::new(count);
    bits.append_n(count, false);
    rows.iter().for_each(|row| bits.set_bit(*row, true));
    bits.finish()
}

#[cfg(test)]
mod tests;

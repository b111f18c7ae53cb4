//! Which rows have an index, and no less than their value there: what bounds the score of each row.
//!
//! An inverted index walked term by term: a query touches the rows that share an index with it and nothing else. Values are kept in
//! eight bits, rounded up, so a bound holds; the rows themselves are the table's. A file with a negative value has no bounds, and
//! all of it is compared. Measured against greatest values of blocks of 32 rows (Mallia, Suel and Tonellotto, SIGIR 2024), which
//! take less room and rule out nothing unless like rows lie together.
//!
//! ```text
//! rows u64 | terms u64 | entries u64 | has negative values u64 | zeros up to 64 |
//! index u32 * terms | step f32 * terms | end of its entries u64 * terms | row u32 * entries | value u8 * entries
//! ```
//! Each part starts at a multiple of 64 bytes. Indices ascend, and so do the rows of each.

use std::collections::HashMap;
use std::ops::Range;

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::buffer::{Buffer, ScalarBuffer};
use trilith_engine::{Derivation, Error, Result};
use trilith_udfs::kernels::SparseQuery;
use trilith_udfs::sparse::SparseRows;

/// What rounding may take from a bound that is summed in 32 bits.
const SLACK: f32 = 1.0 + 1e-4;
const ALIGNMENT: usize = 64;
const HEADER: usize = 64;
const CODES: f32 = 255.0;

/// The postings of one file.
#[derive(Debug)]
pub(super) struct Postings {
    rows: usize,
    has_negative: bool,
    terms: ScalarBuffer<u32>,
    steps: ScalarBuffer<f32>,
    ends: ScalarBuffer<u64>,
    places: ScalarBuffer<u32>,
    values: ScalarBuffer<u8>,
}

impl Postings {
    /// For each row its score with the sign turned, or less: a lower bound of its key, by which the best come first. 0 for
    /// a row that shares no index; `None` when nothing is known of them.
    pub(super) fn bounds(&self, query: &SparseQuery) -> Option<Vec<f32>> {
        if self.has_negative || query.weights().iter().any(|(_, weight)| *weight < 0.0) {
            return None;
        }
        let mut bounds = vec![0.0_f32; self.rows];
        for (index, weight) in query.weights() {
            let Ok(term) = self.terms.binary_search(index) else { continue };
            let (entries, step) = (self.entries(term), self.steps[term] * weight * SLACK);
            for (row, value) in self.places[entries.clone()].iter().zip(&self.values[entries]) {
                // A row that has the index at all has a bound below 0.
                bounds[*row as usize] -= step * f32::from(*value) + f32::MIN_POSITIVE;
            }
        }
        Some(bounds)
    }

    fn entries(&self, term: usize) -> Range<usize> {
        let start = if term == 0 { 0 } else { self.ends[term - 1] };
        start as usize..self.ends[term] as usize
    }
}

/// How bounds are made of a column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounding;

impl Derivation for Bounding {
    type Opened = Postings;

    fn kind(&self) -> &'static str {
        "sparse"
    }

    fn description(&self) -> String {
        "bounds of sparse vectors, version 1".to_owned()
    }

    fn make(&self, rows: &mut dyn Iterator<Item = Result<ArrayRef>>) -> Result<Vec<u8>> {
        let mut builder = Builder::default();
        for values in rows {
            builder.add(&values?)?;
        }
        Ok(builder.finish())
    }

    fn open(&self, bytes: Buffer) -> Result<Postings> {
        let layout = Layout::read(&bytes).filter(|layout| layout.end == bytes.len());
        let layout =
            layout.ok_or_else(|| Error::Internal("bounds of another length than they say".into()))?;
        let opened = Postings {
            rows: layout.counts[0],
            has_negative: layout.counts[3] != 0,
            terms: ScalarBuffer::new(bytes.clone(), layout.terms / 4, layout.counts[1]),
            steps: ScalarBuffer::new(bytes.clone(), layout.steps / 4, layout.counts[1]),
            ends: ScalarBuffer::new(bytes.clone(), layout.ends / 8, layout.counts[1]),
            places: ScalarBuffer::new(bytes.clone(), layout.places / 4, layout.counts[2]),
            values: ScalarBuffer::new(bytes, layout.values, layout.counts[2]),
        };
        match opened.is_sound() {
            true => Ok(opened),
            false => Err(Error::Internal("bounds that point beyond themselves".into())),
        }
    }
}

impl Postings {
    fn is_sound(&self) -> bool {
        let entries = self.places.len() as u64;
        self.ends.is_sorted()
            && self.ends.last().is_none_or(|end| *end == entries)
            && self.places.iter().all(|row| (*row as usize) < self.rows)
    }
}

/// Where each part lies.
struct Layout {
    /// Rows, terms, entries, and whether there are negative values.
    counts: [usize; 4],
    terms: usize,
    steps: usize,
    ends: usize,
    places: usize,
    values: usize,
    end: usize,
}

impl Layout {
    fn of(counts: [usize; 4]) -> Option<Self> {
        let [_, terms_len, entries_len, _] = counts;
        let after = |start: usize, length: usize, width: usize| {
            start.checked_add(length.checked_mul(width)?)?.checked_next_multiple_of(ALIGNMENT)
        };
        let terms = HEADER;
        let steps = after(terms, terms_len, 4)?;
        let ends = after(steps, terms_len, 4)?;
        let places = after(ends, terms_len, 8)?;
        let values = after(places, entries_len, 4)?;
        let end = after(values, entries_len, 1)?;
        Some(Self { counts, terms, steps, ends, places, values, end })
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let count = |at: usize| -> Option<usize> {
            let number = bytes.get(at * 8..)?.first_chunk::<8>()?;
            usize::try_from(u64::from_le_bytes(*number)).ok()
        };
        Self::of([count(0)?, count(1)?, count(2)?, count(3)?])
    }
}

/// Rows in order, and the value of each.
type Entries = Vec<(u32, f32)>;

/// Gathers the entries of each index, row by row.
#[derive(Default)]
struct Builder {
    rows: u32,
    has_negative: bool,
    terms: HashMap<u32, Entries>,
}

impl Builder {
    fn add(&mut self, values: &ArrayRef) -> Result<()> {
        let rows = SparseRows::new("index of sparse vectors", values)
            .map_err(|error| Error::Internal(error.to_string()))?;
        for row in 0..values.len() {
            let (indices, values) = rows.get(row).unwrap_or_default();
            for (index, value) in indices.iter().zip(values) {
                self.has_negative |= *value < 0.0;
                self.terms.entry(*index).or_default().push((self.rows, value.max(0.0)));
            }
            self.rows += 1;
        }
        Ok(())
    }

    fn finish(self) -> Vec<u8> {
        let mut terms: Vec<(u32, Entries)> = self.terms.into_iter().collect();
        terms.sort_unstable_by_key(|(index, _)| *index);
        let entries = terms.iter().map(|(_, entries)| entries.len()).sum();
        let counts = [self.rows as usize, terms.len(), entries, usize::from(self.has_negative)];
        let Some(layout) = Layout::of(counts) else { return vec![] };
        let mut bytes = Vec::with_capacity(layout.end);
        counts.iter().for_each(|count| bytes.extend((*count as u64).to_le_bytes()));
        bytes.resize(layout.terms, 0);
        terms.iter().for_each(|(index, _)| bytes.extend(index.to_le_bytes()));
        bytes.resize(layout.steps, 0);
        let steps: Vec<f32> = terms.iter().map(|(_, entries)| step(entries)).collect();
        steps.iter().for_each(|step| bytes.extend(step.to_le_bytes()));
        bytes.resize(layout.ends, 0);
        let mut end = 0;
        for (_, entries) in &terms {
            end += entries.len() as u64;
            bytes.extend(end.to_le_bytes());
        }
        bytes.resize(layout.places, 0);
        for (row, _) in terms.iter().flat_map(|(_, entries)| entries) {
            bytes.extend(row.to_le_bytes());
        }
        bytes.resize(layout.values, 0);
        for ((_, entries), step) in terms.iter().zip(steps) {
            bytes.extend(entries.iter().map(|(_, value)| code(*value, step)));
        }
        bytes.resize(layout.end, 0);
        bytes
    }
}

/// What one code stands for: the greatest value is the greatest code.
fn step(entries: &[(u32, f32)]) -> f32 {
    entries.iter().fold(0.0_f32, |greatest, (_, value)| greatest.max(*value)) / CODES
}

/// The least code that stands for no less than the value; a step that is too small for that is nothing.
fn code(value: f32, step: f32) -> u8 {
    if step > 0.0 { (value / step).ceil().min(CODES) as u8 } else { u8::from(value > 0.0) }
}

//! Words of what the memtables hold, brought up to date by the searches themselves.

use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::Array;
use datafusion::arrow::buffer::Buffer;
use parking_lot::Mutex;
use trilith_engine::{FreshRows, Result};

use super::corpus::{Run, TextSource};
use super::words::Words;

type Entries = (Range<u32>, Arc<Words>);

/// Words of a memtable's entries, in segments that cover them from the first on. A search indexes what was committed since the last
/// one; a segment that is not twice as large as its new neighbour is made again together with it, so an entry is indexed
/// a logarithmic number of times.
#[derive(Default)]
pub(super) struct FreshWords(Mutex<Vec<Entries>>);

impl FreshWords {
    /// Segments of exactly the entries that `rows` sees.
    pub(super) fn of(&self, rows: &FreshRows, source: &TextSource) -> Result<Vec<Entries>> {
        let mut known = self.0.lock();
        let mut cover: Vec<Entries> = vec![];
        let mut from = 0;
        let longest = |from: u32, known: &[Entries]| {
            let fits = |(entries, _): &&Entries| entries.start == from && entries.end <= rows.len();
            known.iter().filter(fits).max_by_key(|(entries, _)| entries.end).cloned()
        };
        while let Some(next) = longest(from, &known) {
            from = next.0.end;
            cover.push(next);
        }
        if from == rows.len() {
            return Ok(cover);
        }
        while let Some((last, _)) = cover.pop_if(|(last, _)| last.len() < 2 * (rows.len() - from) as usize) {
            from = last.start;
        }
        let fresh = from..rows.len();
        let bytes = source.build(&mut runs(rows, fresh.clone())?.into_iter().map(Ok))?;
        let words = Arc::new(source.read(Buffer::from(bytes))?);
        known.retain(|(entries, _)| entries.start < fresh.start || entries.end > fresh.end);
        known.push((fresh.clone(), Arc::clone(&words)));
        cover.push((fresh, words));
        Ok(cover)
    }
}

/// All entries of a range: values, and gaps where rows were deleted.
fn runs(rows: &FreshRows, entries: Range<u32>) -> Result<Vec<Run>> {
    let (mut runs, mut at) = (vec![], entries.start);
    for (first, values) in rows.read(entries.clone())? {
        runs.push(Run::Nothing(first - at));
        at = first + values.len() as u32;
        runs.push(Run::Values(values));
    }
    runs.push(Run::Nothing(entries.end - at));
    Ok(runs)
}

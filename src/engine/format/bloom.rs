//! Bloom filters over encoded keys, one per Arrow batch, each a run of 64-byte lines.
//!
//! A key sets [`PROBES`] bits inside one line, so a test costs at most one cache miss. About 10 bits
//! per key give roughly one false answer in a hundred. A filter per batch, not per file, keeps the
//! memory of a writer independent of the size of its file; the fence keys choose the filter.

use arrow::buffer::Buffer;
use xxhash_rust::xxh3::xxh3_64;

/// Bytes in one line.
pub const LINE_LEN: usize = 64;
const BITS_PER_KEY: usize = 10;
const PROBES: u32 = 6;

/// What a filter knows of a key.
#[must_use]
pub fn hash_key(key: &[u8]) -> u64 {
    xxh3_64(key)
}

/// Bit numbers of a key within its line.
fn probes(hash: u64) -> impl Iterator<Item = usize> {
    let mixed = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..PROBES).map(move |i| (mixed >> (10 + 9 * i) & 511) as usize)
}

/// Line of a key among `lines`, by the upper half of its hash.
fn line_of(hash: u64, lines: usize) -> usize {
    (((hash >> 32) * lines as u64) >> 32) as usize
}

/// Collects the filters of one file, batch by batch.
#[derive(Debug, Default)]
pub struct FilterBuilder {
    hashes: Vec<u64>,
    lines: Vec<u8>,
    ends: Vec<u32>,
}

impl FilterBuilder {
    /// Adds a key to the batch being filled.
    pub fn insert(&mut self, key: &[u8]) {
        self.hashes.push(hash_key(key));
    }

    /// Closes the filter of the batch being filled.
    pub fn finish_batch(&mut self) {
        let lines = (self.hashes.len() * BITS_PER_KEY).div_ceil(LINE_LEN * 8).max(1);
        let start = self.lines.len();
        self.lines.resize(start + lines * LINE_LEN, 0);
        for hash in self.hashes.drain(..) {
            let line = start + line_of(hash, lines) * LINE_LEN;
            for bit in probes(hash) {
                self.lines[line + bit / 8] |= 1 << (bit % 8);
            }
        }
        self.ends.push((self.lines.len() / LINE_LEN) as u32);
    }

    /// For each filter the line after its last one, and the lines of all filters.
    #[must_use]
    pub fn finish(self) -> (Vec<u32>, Vec<u8>) {
        (self.ends, self.lines)
    }
}

/// The filters of one file.
#[derive(Clone, Debug)]
pub struct Filters {
    ends: Vec<u32>,
    lines: Buffer,
}

impl Filters {
    /// Filters as [`FilterBuilder::finish`] gave them; `None` when they do not fit together.
    #[must_use]
    pub fn new(ends: Vec<u32>, lines: Buffer) -> Option<Self> {
        let ascending = ends.first().is_none_or(|first| *first > 0) && ends.is_sorted_by(|a, b| a < b);
        let total = ends.last().map_or(0, |end| *end as usize * LINE_LEN);
        (ascending && total == lines.len()).then_some(Self { ends, lines })
    }

    /// Number of filters.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// False only when no key of `batch` has this hash.
    #[must_use]
    pub fn may_contain(&self, batch: usize, hash: u64) -> bool {
        let Some(&end) = self.ends.get(batch) else { return true };
        let start = if batch == 0 { 0 } else { self.ends[batch - 1] };
        let line = start as usize + line_of(hash, (end - start) as usize);
        let bytes = &self.lines[line * LINE_LEN..][..LINE_LEN];
        probes(hash).all(|bit| bytes[bit / 8] & (1 << (bit % 8)) != 0)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn filters(keys_per_batch: u64, batches: u64) -> Filters {
        let mut builder = FilterBuilder::default();
        for batch in 0..batches {
            for i in 0..keys_per_batch {
                builder.insert(&(batch * keys_per_batch + i).to_be_bytes());
            }
            builder.finish_batch();
        }
        let (ends, lines) = builder.finish();
        Filters::new(ends, lines.into()).unwrap()
    }

    #[test]
    fn no_key_is_ever_denied() {
        let filters = filters(1000, 3);
        for key in 0..3000u64 {
            assert!(filters.may_contain((key / 1000) as usize, hash_key(&key.to_be_bytes())));
        }
    }

    #[test]
    fn one_absent_key_in_fifty_passes_at_most() {
        let filters = filters(8192, 1);
        let passed = (0..100_000u64)
            .filter(|key| filters.may_contain(0, hash_key(&(key + 1_000_000).to_be_bytes())))
            .count();
        assert!(passed < 2_000, "{passed} of 100000 absent keys passed");
    }

    #[test]
    fn lengths_that_disagree_are_refused() {
        assert!(Filters::new(vec![1], vec![0u8; 128].into()).is_none());
        assert!(Filters::new(vec![0], Buffer::from(&[])).is_none());
        assert!(Filters::new(vec![2, 1], vec![0u8; 64].into()).is_none());
    }
}

//! Keys to be looked for in many files: sorted and hashed once.

use std::ops::Range;

use arrow::array::{Array, BinaryArray};

use crate::common::{Error, Result};
use crate::format::bloom::hash_key;

/// Encoded keys that ascend; a key may come again.
#[derive(Clone, Debug)]
pub struct SortedKeys {
    keys: BinaryArray,
    hashes: Vec<u64>,
}

impl SortedKeys {
    /// Takes keys that ascend.
    ///
    /// # Errors
    /// `Internal` when they do not.
    pub fn new(keys: BinaryArray) -> Result<Self> {
        if (1..keys.len()).any(|i| keys.value(i - 1) > keys.value(i)) {
            return Err(Error::Internal("keys to be found do not ascend".into()));
        }
        let hashes = (0..keys.len()).map(|i| hash_key(keys.value(i))).collect();
        Ok(Self { keys, hashes })
    }

    /// Number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// True when there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Key `i`.
    #[must_use]
    pub fn key(&self, i: usize) -> &[u8] {
        self.keys.value(i)
    }

    pub(super) fn hash(&self, i: usize) -> u64 {
        self.hashes[i]
    }

    /// Positions of the keys from `first` to `last`.
    #[must_use]
    pub fn within(&self, first: &[u8], last: &[u8]) -> Range<usize> {
        let bound = |below: &dyn Fn(&[u8]) -> bool| {
            let (mut low, mut high) = (0, self.len());
            while low < high {
                let middle = low + (high - low) / 2;
                if below(self.key(middle)) { low = middle + 1 } else { high = middle }
            }
            low
        };
        let start = bound(&|key| key < first);
        start..bound(&|key| key <= last).max(start)
    }
}

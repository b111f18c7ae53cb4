//! Fence keys: the first key of each batch and the last key of the file.
//!
//! The first eight bytes of each are kept as integers, so that a search compares machine words and
//! touches whole keys only where those are equal.

use crate::format::cursor::Cursor;

/// Fence keys of one file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Fences {
    firsts: Vec<Box<[u8]>>,
    prefixes: Vec<u64>,
    last: Box<[u8]>,
}

/// The first eight bytes of a key as an integer that sorts like the key.
fn prefix(key: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let len = key.len().min(8);
    bytes[..len].copy_from_slice(&key[..len]);
    u64::from_be_bytes(bytes)
}

impl Fences {
    /// Fences of batches that begin with `firsts`, in a file that ends with `last`; `None` unless ascending.
    #[must_use]
    pub fn new(firsts: Vec<Box<[u8]>>, last: Box<[u8]>) -> Option<Self> {
        let ascending = firsts.is_sorted_by(|a, b| a < b) && firsts.last().is_none_or(|first| *first <= last);
        let prefixes = firsts.iter().map(|key| prefix(key)).collect();
        ascending.then_some(Self { firsts, prefixes, last })
    }

    /// Number of batches.
    #[must_use]
    pub fn batches(&self) -> usize {
        self.firsts.len()
    }

    /// First key of a batch.
    #[must_use]
    pub fn first(&self, batch: usize) -> Option<&[u8]> {
        self.firsts.get(batch).map(AsRef::as_ref)
    }

    /// Last key of the file.
    #[must_use]
    pub fn last(&self) -> &[u8] {
        &self.last
    }

    /// The one batch that can hold `key`; `None` when the key lies outside the file.
    #[must_use]
    pub fn batch_of(&self, key: &[u8]) -> Option<usize> {
        if key > self.last.as_ref() {
            return None;
        }
        self.last_not_after(key, 0)
    }

    /// The last batch whose first key is not greater than `key`, given that `from` is one such or 0.
    #[must_use]
    pub fn last_not_after(&self, key: &[u8], from: usize) -> Option<usize> {
        let wanted = prefix(key);
        if from > 0 && self.prefixes.get(from + 1).is_none_or(|next| wanted < *next) {
            return Some(from);
        }
        let tail = &self.prefixes[from.min(self.prefixes.len())..];
        let low = from + tail.partition_point(|p| *p < wanted);
        let same = self.prefixes[low..].partition_point(|p| *p == wanted);
        let within = self.firsts[low..low + same].partition_point(|first| first.as_ref() <= key);
        (low + within).checked_sub(1)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for key in self.firsts.iter().chain([&self.last]) {
            bytes.extend((key.len() as u32).to_le_bytes());
            bytes.extend_from_slice(key);
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(bytes);
        let mut keys: Vec<Box<[u8]>> = Vec::new();
        while !cursor.is_at_end() {
            let len = cursor.u32()?;
            keys.push(cursor.bytes(len as usize)?.into());
        }
        let last = keys.pop()?;
        Self::new(keys, last)
    }
}

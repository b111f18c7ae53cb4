//! The skiplist of crossbeam: slower, and written by others, so a judge of the radix tree.

use std::ops::Bound;
use std::sync::atomic::{AtomicU32, Ordering};

use crossbeam_skiplist::SkipMap;

use super::{From, KeyIndex};

/// Newest entry of each key.
#[derive(Debug, Default)]
pub(super) struct SkipList(SkipMap<Box<[u8]>, AtomicU32>);

impl KeyIndex for SkipList {
    fn replace(&self, key: &[u8], entry: u32) -> Option<u32> {
        if let Some(found) = self.0.get(key) {
            return Some(found.value().swap(entry, Ordering::AcqRel));
        }
        self.0.insert(key.into(), AtomicU32::new(entry));
        None
    }

    fn newest(&self, key: &[u8]) -> Option<u32> {
        self.0.get(key).map(|found| found.value().load(Ordering::Acquire))
    }

    fn walked(&self, from: From<'_>, reverse: bool) -> Vec<(Vec<u8>, u32)> {
        let bound = match from {
            From::End => Bound::Unbounded,
            From::Key(key) => Bound::Included(key),
        };
        let range = if reverse { (Bound::Unbounded, bound) } else { (bound, Bound::Unbounded) };
        let mut found: Vec<(Vec<u8>, u32)> = self
            .0
            .range::<[u8], _>(range)
            .map(|found| (found.key().to_vec(), found.value().load(Ordering::Acquire)))
            .collect();
        if reverse {
            found.reverse();
        }
        found
    }
}

//! From key to newest entry: a skiplist, ordered by encoded key, so that a flush walks it in file order.
//!
//! Keyless tables need it for deletions only: a fresh row's entry follows from its row id.

use std::sync::atomic::{AtomicU32, Ordering};

use crossbeam_skiplist::SkipMap;

/// Newest entry of each key.
#[derive(Debug, Default)]
pub struct KeyIndex(SkipMap<Box<[u8]>, AtomicU32>);

impl KeyIndex {
    /// Makes `entry` the newest of `key` and returns the one it replaces.
    pub fn replace(&self, key: &[u8], entry: u32) -> Option<u32> {
        if let Some(found) = self.0.get(key) {
            return Some(found.value().swap(entry, Ordering::AcqRel));
        }
        self.0.insert(key.into(), AtomicU32::new(entry));
        None
    }

    /// Newest entry of `key`.
    pub fn newest(&self, key: &[u8]) -> Option<u32> {
        self.0.get(key).map(|found| found.value().load(Ordering::Acquire))
    }

    /// Calls `visit` with each key and its newest entry, in key order.
    pub fn for_each(&self, mut visit: impl FnMut(&[u8], u32)) {
        for found in &self.0 {
            visit(found.key(), found.value().load(Ordering::Acquire));
        }
    }
}

//! A range of encoded keys as the merge works with it: half open, its bounds laid down once.

use std::ops::Bound;

use crate::lsm::KeyRange;

/// Keys from one bound to another; empty when they are the wrong way round.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Span {
    /// Not less than this.
    start: Vec<u8>,
    /// Less than this; `None` for no bound.
    end: Option<Vec<u8>>,
}

impl Span {
    pub(super) fn new(range: &KeyRange) -> Self {
        let start = match &range.lower {
            Bound::Unbounded => Vec::new(),
            Bound::Included(key) => key.clone(),
            Bound::Excluded(key) => next_after(key),
        };
        let end = match &range.upper {
            Bound::Unbounded => None,
            Bound::Included(key) => Some(next_after(key)),
            Bound::Excluded(key) => Some(key.clone()),
        };
        Self { start, end }
    }

    /// The least key that may be in it.
    pub(super) fn start(&self) -> &[u8] {
        &self.start
    }

    /// The least key beyond it.
    pub(super) fn end(&self) -> Option<&[u8]> {
        self.end.as_deref()
    }

    /// True when no key can be in it.
    pub(super) fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|end| *end <= self.start)
    }

    /// True when `key` is in it.
    pub(super) fn contains(&self, key: &[u8]) -> bool {
        key >= self.start.as_slice() && self.end.as_ref().is_none_or(|end| key < end.as_slice())
    }
}

/// The least byte string greater than `key`.
fn next_after(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

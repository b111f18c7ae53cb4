//! From key to newest entry, ordered by encoded key, so that a flush walks it in file order.
//!
//! [`RadixTree`] serves; the skiplist of crossbeam stays in the tests, where both must agree with a `BTreeMap`.
//! Keyless tables need an index for deletions only: a fresh row's entry follows from its row id.

mod arena;
mod grow;
mod node;
mod radix;
#[cfg(test)]
mod skiplist;
#[cfg(test)]
mod tests;
mod walk;

pub use radix::RadixTree;
pub use walk::{From, Walk};

/// What a memtable asks of an index. One thread replaces; any number read at the same time, and see every key whose
/// `replace` returned before they began.
#[cfg(test)]
pub(super) trait KeyIndex: Default + Send + Sync {
    /// Makes `entry` the newest of `key` and returns the one it replaces.
    fn replace(&self, key: &[u8], entry: u32) -> Option<u32>;

    /// Newest entry of `key`.
    fn newest(&self, key: &[u8]) -> Option<u32>;

    /// Keys and newest entries from a key on, upwards or downwards.
    fn walked(&self, from: From<'_>, reverse: bool) -> Vec<(Vec<u8>, u32)>;
}

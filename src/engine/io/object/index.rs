//! What the entries of a journal amount to: which files there are, and which entries nobody needs any more.
//!
//! Pure bookkeeping: reads and writes nothing.

use std::collections::BTreeMap;

use super::entry::{Entry, Kind};

/// The newest entries are never removed, so that a listing that lags behind still shows one of them, from where the
/// others are found one by one.
pub(super) const KEPT_BEHIND: u64 = 64;

/// A run of a file's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Part {
    /// The entry that holds it.
    pub number: u64,
    pub offset: u64,
    pub len: u64,
}

/// A file of the journal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Named {
    /// In one entry; another one replaces it.
    Whole(Part),
    /// In many, one after another.
    Parts(Vec<Part>),
}

impl Named {
    fn needs(&self, number: u64) -> bool {
        match self {
            Self::Whole(part) => part.number == number,
            Self::Parts(parts) => parts.binary_search_by_key(&number, |part| part.number).is_ok(),
        }
    }
}

/// What an entry is kept for.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Use {
    File(String),
    /// It keeps the writer before it out, who would put its next entry here.
    Guard,
    Nothing,
}

/// The entries read so far.
#[derive(Clone, Default, Debug)]
pub(super) struct Index {
    entries: BTreeMap<u64, Use>,
    files: BTreeMap<String, Named>,
    newest: u64,
    epoch: u64,
    /// The same before the newest entry.
    epoch_before: u64,
    /// Number of the last entry when its writer ended with it.
    closed: Option<u64>,
}

impl Index {
    /// The number of the newest entry, 0 when there is none.
    pub fn newest(&self) -> u64 {
        self.newest
    }

    /// The epoch of the newest entry.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The greatest epoch of the entries before the newest.
    pub fn epoch_before(&self) -> u64 {
        self.epoch_before
    }

    /// Entries held.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when the entry was read.
    pub fn knows(&self, number: u64) -> bool {
        self.entries.contains_key(&number)
    }

    /// Takes an entry in, which follows all before it.
    pub fn add(&mut self, entry: &Entry) {
        let part = Part { number: entry.number, offset: entry.offset, len: entry.body.len() as u64 };
        let kept_for = match entry.kind {
            Kind::Writer if entry.number == 1 || self.closed == Some(entry.number - 1) => Use::Nothing,
            Kind::Writer => Use::Guard,
            Kind::Closed => Use::Nothing,
            Kind::Whole => {
                self.files.insert(entry.path.clone(), Named::Whole(part));
                Use::File(entry.path.clone())
            }
            Kind::Part => {
                match self.files.entry(entry.path.clone()).or_insert_with(|| Named::Parts(Vec::new())) {
                    Named::Parts(parts) => parts.push(part),
                    whole @ Named::Whole(_) => *whole = Named::Parts(vec![part]),
                }
                Use::File(entry.path.clone())
            }
        };
        self.closed = (entry.kind == Kind::Closed).then_some(entry.number);
        self.entries.insert(entry.number, kept_for);
        self.epoch_before = self.epoch;
        (self.newest, self.epoch) = (entry.number, self.epoch.max(entry.epoch));
    }

    /// A file by its path.
    pub fn file(&self, path: &str) -> Option<&Named> {
        self.files.get(path)
    }

    /// Paths of all files, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &String> {
        self.files.keys()
    }

    /// Forgets a file; false when there was none.
    pub fn remove(&mut self, path: &str) -> bool {
        self.files.remove(path).is_some()
    }

    /// Entries that can leave the store, oldest first.
    pub fn spent(&self) -> Vec<u64> {
        let old = self.entries.range(..self.newest.saturating_sub(KEPT_BEHIND));
        let is_spent = |number: u64, kept_for: &Use| match kept_for {
            Use::File(path) => self.files.get(path).is_none_or(|file| !file.needs(number)),
            Use::Guard => false,
            Use::Nothing => true,
        };
        old.filter(|(number, kept_for)| is_spent(**number, kept_for)).map(|(number, _)| *number).collect()
    }

    /// An entry has left the store.
    pub fn forget(&mut self, number: u64) {
        self.entries.remove(&number);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn add(index: &mut Index, kind: Kind, path: &str) {
        let (number, epoch) = (index.newest() + 1, 1);
        index.add(&Entry { kind, number, epoch, offset: 0, path: path.into(), body: Bytes::new() });
    }

    #[test]
    fn entries_are_spent_when_nothing_needs_them() {
        let mut index = Index::default();
        add(&mut index, Kind::Writer, "");
        add(&mut index, Kind::Part, "wal/1.wal");
        add(&mut index, Kind::Whole, "CURRENT");
        add(&mut index, Kind::Writer, "");
        add(&mut index, Kind::Whole, "CURRENT");
        add(&mut index, Kind::Closed, "");
        add(&mut index, Kind::Writer, "");
        for _ in 0..KEPT_BEHIND {
            assert!(index.spent().iter().all(|number| *number <= index.newest() - KEPT_BEHIND));
            add(&mut index, Kind::Whole, "CURRENT");
        }
        add(&mut index, Kind::Whole, "CURRENT");
        // Entry 4 keeps out the first writer, which did not end; entry 7 follows one that did.
        assert_eq!(index.spent(), [1, 3, 5, 6, 7]);
        assert!(index.remove("wal/1.wal"));
        assert_eq!(index.spent(), [1, 2, 3, 5, 6, 7]);
        index.forget(2);
        assert_eq!(index.spent(), [1, 3, 5, 6, 7]);
    }
}

//! What a serializable transaction has read: keys, ranges of keys, and whole tables.
//!
//! A key that was looked up and not found counts as read, and so does every key that would have been in a scanned
//! range: that is what makes phantoms conflicts. Much reading of one table is taken for reading all of it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::common::TableId;
use crate::common::sync::Mutex;
use crate::db::recent::Written;
use crate::format::table::TableDef;
use crate::lsm::KeyRange;

/// Keys of one table that are remembered one by one.
const KEYS_MAX: usize = 1 << 16;
/// Ranges of one table that are remembered one by one.
const RANGES_MAX: usize = 256;

#[derive(Debug)]
struct TableReads {
    def: Arc<TableDef>,
    whole: bool,
    keys: HashSet<Box<[u8]>>,
    ranges: Vec<KeyRange>,
}

impl TableReads {
    fn has_read(&self, key: &[u8]) -> bool {
        self.whole || self.keys.contains(key) || self.ranges.iter().any(|range| range.contains(key))
    }

    fn settle(&mut self) {
        if self.whole || self.keys.len() > KEYS_MAX || self.ranges.len() > RANGES_MAX {
            self.whole = true;
            self.keys = HashSet::new();
            self.ranges = Vec::new();
        }
    }
}

/// Reads of one transaction; filled by the views of its snapshots, from any thread.
#[derive(Debug, Default)]
pub(in crate::db) struct Reads(Mutex<HashMap<TableId, TableReads>>);

impl Reads {
    /// A key was looked up.
    pub fn key(&self, table: &Arc<TableDef>, key: &[u8]) {
        self.add(table, |reads| {
            if !reads.has_read(key) {
                reads.keys.insert(key.into());
            }
        });
    }

    /// The keys of a range were looked at, those that are not there too.
    pub fn range(&self, table: &Arc<TableDef>, range: &KeyRange) {
        self.add(table, |reads| {
            if range.is_all() {
                reads.whole = true;
            } else if !reads.ranges.contains(range) {
                reads.ranges.push(range.clone());
            }
        });
    }

    fn add(&self, table: &Arc<TableDef>, add: impl FnOnce(&mut TableReads)) {
        let mut tables = self.0.lock();
        let reads = tables.entry(table.id).or_insert_with(|| TableReads {
            def: Arc::clone(table),
            whole: false,
            keys: HashSet::new(),
            ranges: Vec::new(),
        });
        if !reads.whole {
            add(reads);
            reads.settle();
        }
    }

    /// True when `written` is something that was read of `table`.
    pub fn touched_by(&self, table: TableId, written: &Written) -> bool {
        let tables = self.0.lock();
        let Some(reads) = tables.get(&table) else { return false };
        match written {
            _ if reads.whole => true,
            Written::NewRows => false,
            Written::Between(min, max) => {
                let between = |key: &[u8]| key >= min.as_slice() && key <= max.as_slice();
                reads.keys.iter().any(|key| between(key))
                    || reads.ranges.iter().any(|range| range.overlaps(min, max))
            }
            Written::Keys(keys) => (0..keys.len()).any(|i| keys.with(i, |key| reads.has_read(key))),
        }
    }

    /// The tables that were read, as they were.
    pub fn tables(&self) -> Vec<Arc<TableDef>> {
        self.0.lock().values().map(|reads| Arc::clone(&reads.def)).collect()
    }

    /// One of the tables that were read.
    pub fn any_table(&self) -> Option<TableId> {
        self.0.lock().keys().next().copied()
    }
}

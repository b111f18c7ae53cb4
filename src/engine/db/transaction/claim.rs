//! What a transaction's commit depends on: that nobody wrote to what it writes or has read, since it began.

use std::sync::Arc;

use super::Reads;
use crate::common::{SeqNo, TableId};
use crate::db::batch::Op;
use crate::db::recent::Written;
use crate::memtable::Keys;

/// The condition of one commit.
#[derive(Clone, Debug)]
pub(in crate::db) struct Claim {
    /// The commit it began at.
    pub base: SeqNo,
    /// Commits up to here were looked at already.
    pub checked: SeqNo,
    /// Whether one of them may have written the same rows.
    pub unsure: bool,
    /// What it read, when it is serializable.
    pub reads: Option<Arc<Reads>>,
    writes: Arc<Vec<Sorted>>,
}

/// Keys that one operation writes, and their order.
#[derive(Debug)]
struct Sorted {
    table: TableId,
    keys: Keys,
    /// Positions in order of the keys; `None` when they are in order as they stand.
    order: Option<Vec<u32>>,
}

/// What another commit means to a claim.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::db) enum Meeting {
    /// They have nothing to do with each other.
    Apart,
    /// They wrote the same row, or it wrote what was read.
    Conflict,
    /// It may have written the same row: the rows themselves must be asked.
    Unsure,
}

impl Claim {
    pub fn new(base: SeqNo, reads: Option<Arc<Reads>>, ops: &[Op]) -> Self {
        let writes = ops.iter().filter_map(Sorted::of).collect();
        Self { base, checked: base, unsure: false, reads, writes: Arc::new(writes) }
    }

    /// What a commit that wrote this means to it.
    pub fn meets(&self, table: TableId, written: &Written) -> Meeting {
        if self.reads.as_ref().is_some_and(|reads| reads.touched_by(table, written)) {
            return Meeting::Conflict;
        }
        let mut own = self.writes.iter().filter(|keys| keys.table == table);
        match written {
            Written::NewRows => Meeting::Apart,
            Written::Between(min, max) if own.any(|keys| keys.any_between(min, max)) => Meeting::Unsure,
            Written::Between(..) => Meeting::Apart,
            Written::Keys(theirs) => {
                let own: Vec<&Sorted> = own.collect();
                let same = |i: usize| theirs.with(i, |key| own.iter().any(|keys| keys.contains(key)));
                if !own.is_empty() && (0..theirs.len()).any(same) {
                    Meeting::Conflict
                } else {
                    Meeting::Apart
                }
            }
        }
    }
}

impl Sorted {
    fn of(op: &Op) -> Option<Self> {
        let keys = op.keys.clone()?;
        let compare = |a: u32, b: u32| keys.with(a as usize, |a| keys.with(b as usize, |b| a.cmp(b)));
        let in_order = (1..keys.len() as u32).all(|i| compare(i - 1, i).is_lt());
        let order = (!in_order).then(|| {
            let mut order: Vec<u32> = (0..keys.len() as u32).collect();
            order.sort_unstable_by(|a, b| compare(*a, *b));
            order
        });
        Some(Self { table: op.table.id, keys, order })
    }

    /// How many keys are below `key`.
    fn below(&self, key: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.keys.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.with(middle, |own| own < key) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    fn with<T>(&self, place: usize, with: impl FnOnce(&[u8]) -> T) -> T {
        let at = self.order.as_ref().map_or(place, |order| order[place] as usize);
        self.keys.with(at, with)
    }

    fn contains(&self, key: &[u8]) -> bool {
        let place = self.below(key);
        place < self.keys.len() && self.with(place, |own| own == key)
    }

    fn any_between(&self, min: &[u8], max: &[u8]) -> bool {
        let place = self.below(min);
        place < self.keys.len() && self.with(place, |own| own <= max)
    }
}

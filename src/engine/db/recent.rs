//! Keys of recent commits: what the writes and reads of transactions are compared with.
//!
//! Every commit is noted with the keys it wrote, those of many rows as the very arrays that its memtable holds. Notes are kept while
//! a transaction is open that began before them, and in any case until their commit is published, so a transaction
//! that registers itself misses none. Past a budget the oldest notes go: the writes of older transactions are then
//! compared with the rows themselves, and their reads count as changed. Both err on the safe side only.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::transaction::{Claim, Meeting};
use crate::common::sync::{ArcSwap, Mutex};
use crate::common::{SeqNo, TableId};
use crate::lsm::Published;
use crate::memtable::{ChunkKeys, Keys};

/// Memory of keys that are kept for transactions.
const KEPT_BYTES_MAX: usize = 64 << 20;
/// What a note takes beside its keys.
const NOTE_BYTES: usize = 96;

/// What a commit wrote to one table.
#[derive(Clone, Debug)]
pub(super) enum Written {
    /// Rows of these keys.
    Keys(Keys),
    /// Rows whose keys lie between these two.
    Between(Vec<u8>, Vec<u8>),
    /// Rows of a keyless table that nobody knew.
    NewRows,
}

#[derive(Debug)]
struct Note {
    seq: SeqNo,
    table: TableId,
    written: Written,
}

#[derive(Debug, Default)]
struct Notes {
    notes: VecDeque<Note>,
    bytes: usize,
    /// Open transactions by the commit they began at.
    open: BTreeMap<SeqNo, usize>,
    /// Notes up to this commit were given up before their time.
    forgotten: SeqNo,
}

/// Recent commits of one engine.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<Notes>);

impl Recent {
    /// The newest published state as of now, of which every note after it is kept until [`Recent::end`].
    pub fn begin(&self, published: &ArcSwap<Published>) -> Arc<Published> {
        let mut notes = self.0.lock();
        let newest = published.load();
        let seq = newest.seq();
        *notes.open.entry(seq).or_default() += 1;
        Arc::new(Published::new(Arc::clone(&newest.state), seq))
    }

    /// The transaction that began at `base` is over.
    pub fn end(&self, base: SeqNo) {
        let mut notes = self.0.lock();
        if let Some(count) = notes.open.get_mut(&base) {
            *count -= 1;
            if *count == 0 {
                notes.open.remove(&base);
            }
        }
    }

    /// Notes all that commit `seq` wrote, at once: whoever compares sees the whole commit or nothing of it. The caller
    /// holds the writer lock.
    pub fn note(
        &self,
        seq: SeqNo,
        writes: impl Iterator<Item = (TableId, Written)>,
        published: &ArcSwap<Published>,
    ) {
        let mut notes = self.0.lock();
        for (table, written) in writes {
            notes.bytes += bytes(&written);
            notes.notes.push_back(Note { seq, table, written });
        }
        let visible = published.load().seq();
        let needed_after = notes.open.keys().next().map_or(visible, |oldest| visible.min(*oldest));
        notes.forget(|notes, note| note.seq <= needed_after || notes.bytes > KEPT_BYTES_MAX);
    }

    /// Compares a claim with the commits that it has not been compared with.
    pub fn check(&self, claim: &Claim) -> Outcome {
        let notes = self.0.lock();
        let mut outcome = Outcome {
            conflict: None,
            unsure: claim.unsure || notes.forgotten > claim.base,
            checked: claim.checked,
        };
        if notes.forgotten > claim.base {
            outcome.conflict = claim.reads.as_ref().and_then(|reads| reads.any_table());
        }
        let from = notes.notes.partition_point(|note| note.seq <= claim.checked);
        for note in notes.notes.range(from..) {
            match claim.meets(note.table, &note.written) {
                Meeting::Apart => {}
                Meeting::Unsure => outcome.unsure = true,
                Meeting::Conflict => outcome.conflict = Some(note.table),
            }
            outcome.checked = note.seq;
        }
        outcome
    }
}

/// What a comparison came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    /// A table that another commit wrote to where it must not.
    pub conflict: Option<TableId>,
    /// Whether the rows written must be compared too.
    pub unsure: bool,
    /// The last commit that was looked at.
    pub checked: SeqNo,
}

impl Notes {
    fn forget(&mut self, due: impl Fn(&Self, &Note) -> bool) {
        while self.notes.front().is_some_and(|note| due(self, note)) {
            let Some(note) = self.notes.pop_front() else { return };
            self.bytes -= bytes(&note.written);
            if self.open.keys().next().is_some_and(|oldest| *oldest < note.seq) {
                self.forgotten = note.seq;
            }
        }
    }
}

fn bytes(written: &Written) -> usize {
    NOTE_BYTES
        + match written {
            Written::Keys(Keys::Many(ChunkKeys::Encoded(keys))) => {
                arrow::array::Array::get_array_memory_size(keys)
            }
            Written::Keys(keys) => keys.bytes(),
            Written::Between(min, max) => min.len() + max.len(),
            Written::NewRows => 0,
        }
}

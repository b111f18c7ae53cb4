//! The state of a database at one moment: immutable, replaced as one value, pinned by snapshots.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::file::TableFile;
use super::masks::MaskCache;
use crate::common::sync::{AtomicU64, Mutex};
use crate::common::{CommitTimes, Error, MonotoneClock, Result, SeqNo, TableId};
use crate::format::table::{TableDef, TableName};
use crate::memtable::MemTable;

/// One table: its files under its memtables.
#[derive(Debug)]
pub struct TableState {
    /// What the table is.
    pub def: Arc<TableDef>,
    /// Its files; every key has at most one live row over all of them.
    pub files: Arc<Vec<Arc<TableFile>>>,
    /// Memtables that wait for their flush, oldest first.
    pub frozen: Vec<Arc<MemTable>>,
    /// The memtable being written.
    pub active: Arc<MemTable>,
    /// The next row id of a keyless table.
    pub next_row_id: Arc<AtomicU64>,
    /// The last commit that counts of `frozen`, when `active` is a transaction's own.
    shared_until: Option<SeqNo>,
    pub(super) masks: Mutex<MaskCache>,
}

impl TableState {
    /// A table of these files, with empty memtables.
    #[must_use]
    pub fn new(def: Arc<TableDef>, files: Vec<Arc<TableFile>>, next_row_id: u64) -> Self {
        let active = Arc::new(MemTable::new(def.is_keyed()));
        let next_row_id = Arc::new(AtomicU64::new(next_row_id));
        Self {
            def,
            files: Arc::new(files),
            frozen: Vec::new(),
            active,
            next_row_id,
            shared_until: None,
            masks: Mutex::default(),
        }
    }

    /// The table as of commit `seq`, under a memtable that is the caller's own. Others go on writing to the memtables
    /// below it, which readers of this state do not see. Row ids of the own memtable start at `next_row_id`.
    #[must_use]
    pub fn overlay(&self, seq: SeqNo, own: MemTable, next_row_id: Arc<AtomicU64>) -> Self {
        Self {
            def: Arc::clone(&self.def),
            files: Arc::clone(&self.files),
            frozen: self.memtables().map(Arc::clone).collect(),
            active: Arc::new(own),
            next_row_id,
            shared_until: Some(seq),
            masks: Mutex::new(self.masks.lock().known_hits()),
        }
    }

    /// True when the active memtable is a transaction's own.
    #[must_use]
    pub fn is_overlay(&self) -> bool {
        self.shared_until.is_some()
    }

    /// How many entries of each memtable a reader at `seq` sees, oldest memtable first.
    #[must_use]
    pub fn limits(&self, seq: SeqNo) -> Vec<u32> {
        let shared = self.shared_until.map_or(seq, |until| until.min(seq));
        let frozen = self.frozen.iter().map(|memtable| memtable.limit(shared));
        frozen.chain(std::iter::once(self.active.limit(seq))).collect()
    }

    /// How many entries of an older memtable count for whoever sees entries of a newer one.
    pub(super) fn settled(&self, memtable: &MemTable) -> u32 {
        self.shared_until.map_or(u32::MAX, |until| memtable.limit(until))
    }

    /// The memtables, oldest first, the active one last.
    pub fn memtables(&self) -> impl DoubleEndedIterator<Item = &Arc<MemTable>> {
        self.frozen.iter().chain(std::iter::once(&self.active))
    }

    /// Memtable `i` of [`TableState::memtables`].
    #[must_use]
    pub fn memtable(&self, i: usize) -> &Arc<MemTable> {
        self.frozen.get(i).unwrap_or(&self.active)
    }

    /// The same table with other parts.
    #[must_use]
    pub fn replace(
        &self,
        files: Option<Vec<Arc<TableFile>>>,
        frozen: Vec<Arc<MemTable>>,
        active: Arc<MemTable>,
    ) -> Self {
        Self {
            def: Arc::clone(&self.def),
            files: files.map_or_else(|| Arc::clone(&self.files), Arc::new),
            frozen,
            active,
            next_row_id: Arc::clone(&self.next_row_id),
            shared_until: None,
            masks: Mutex::default(),
        }
    }

    /// The same rows under another definition.
    #[must_use]
    pub fn redefine(&self, def: Arc<TableDef>) -> Self {
        Self { def, ..self.replace(None, self.frozen.clone(), Arc::clone(&self.active)) }
    }

    /// The table with its active memtable frozen; itself when there is nothing in it.
    #[must_use]
    pub fn freeze(self: &Arc<Self>) -> Arc<Self> {
        if self.active.is_empty() {
            return Arc::clone(self);
        }
        let frozen = self.memtables().map(Arc::clone).collect();
        Arc::new(self.replace(None, frozen, Arc::new(MemTable::new(self.def.is_keyed()))))
    }

    /// Sequence number of the oldest row that no file holds.
    #[must_use]
    pub fn oldest_unflushed(&self) -> Option<SeqNo> {
        self.memtables().find_map(|memtable| memtable.first_seq())
    }
}

/// Every table of the database.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Names of the schemas.
    pub schemas: BTreeSet<String>,
    /// The tables by name.
    pub tables: BTreeMap<TableName, Arc<TableState>>,
    /// The time by which rows expire and commits are dated.
    pub clock: Arc<MonotoneClock>,
    /// When the commits since the files were made.
    pub times: Arc<CommitTimes>,
}

impl State {
    /// A table by name.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn table(&self, name: &TableName) -> Result<&Arc<TableState>> {
        self.tables.get(name).ok_or_else(|| Error::NotFound { entity: "table", name: name.to_string() })
    }

    /// A table by id.
    #[must_use]
    pub fn table_by_id(&self, id: TableId) -> Option<&Arc<TableState>> {
        self.tables.values().find(|table| table.def.id == id)
    }

    /// Puts a table's new state in the place of its old one, under the name it now has.
    pub fn put(&mut self, table: Arc<TableState>) {
        self.tables.insert(table.def.name.clone(), table);
    }

    /// Memory of all memtables.
    #[must_use]
    pub fn memtable_bytes(&self) -> usize {
        self.tables.values().flat_map(|table| table.memtables()).map(|memtable| memtable.bytes()).sum()
    }

    /// Memory of the memtables being written.
    #[must_use]
    pub fn active_bytes(&self) -> usize {
        self.tables.values().map(|table| table.active.bytes()).sum()
    }
}

/// What readers see: a state, and the last commit that counts, which moves on while the state is the newest: a commit
/// changes no state. Whoever wants one moment asks for it once.
#[derive(Debug)]
pub struct Published {
    /// The tables.
    pub state: Arc<State>,
    seq: AtomicU64,
}

impl Published {
    /// The state `state` as of commit `seq`.
    #[must_use]
    pub fn new(state: Arc<State>, seq: SeqNo) -> Self {
        Self { state, seq: AtomicU64::new(seq.0) }
    }

    /// Commits up to here are visible.
    #[must_use]
    pub fn seq(&self) -> SeqNo {
        SeqNo(self.seq.load(Ordering::Acquire))
    }

    /// Makes the commits up to `seq` visible, all of which are in the state. Only the holder of the writer lock calls
    /// it, on what is published.
    pub fn advance(&self, seq: SeqNo) {
        self.seq.store(seq.0, Ordering::Release);
    }
}

impl Published {
    /// The same with rows that expire by `clock`.
    #[must_use]
    pub fn by(mut self, clock: &Arc<MonotoneClock>) -> Self {
        if !Arc::ptr_eq(&self.state.clock, clock) {
            Arc::make_mut(&mut self.state).clock = Arc::clone(clock);
        }
        self
    }
}

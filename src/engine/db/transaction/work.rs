//! The buffered writes of a transaction: one memtable of its own per table that it writes to.
//!
//! Own writes are numbered above every commit there will ever be, and own rows of keyless tables have ids above every
//! real one; both get real ones at commit. Not thread-safe: the transaction's lock guards it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::net::Net;
use super::savepoint::Savepoint;
use super::{Reads, Registered};
use crate::common::sync::AtomicU64;
use crate::common::{Error, Result, RowId, SeqNo, TableId};
use crate::db::batch::{Op, WriteBatch, duplicate};
use crate::db::snapshot::Snapshot;
use crate::db::view::TableView;
use crate::format::commit::OpKind;
use crate::format::table::{TableDef, TableName};
use crate::lsm::{Published, State, TableState};
use crate::memtable::{Keys, MemTable};

/// The number before that of the first own write.
const OWN_SEQ: SeqNo = SeqNo(1 << 63);
/// The first id of an own row.
const OWN_ROW: u64 = 1 << 63;

/// How far a transaction is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Status {
    /// It takes calls.
    Open,
    /// A write failed: it takes a rollback.
    Failed,
    /// It was committed or rolled back.
    Ended,
}

/// What a transaction has done so far.
#[derive(Debug)]
pub(super) struct Work {
    pub status: Status,
    /// The database as it began, with tables that were adopted since.
    base: Snapshot,
    /// The same, own memtables over the tables that were written to.
    now: Arc<Published>,
    /// The newest own write.
    pub seq: SeqNo,
    pub savepoints: Vec<Savepoint>,
    next_row_id: Arc<AtomicU64>,
    registered: Option<Registered>,
    bytes_max: usize,
}

impl Work {
    pub fn new(published: Arc<Published>, registered: Option<Registered>, bytes_max: usize) -> Self {
        Self {
            status: Status::Open,
            base: Snapshot::new(Arc::clone(&published)),
            now: published,
            seq: OWN_SEQ,
            savepoints: Vec::new(),
            next_row_id: Arc::new(AtomicU64::new(OWN_ROW)),
            registered,
            bytes_max,
        }
    }

    /// Fails when it takes no calls.
    pub fn require_open(&self) -> Result<()> {
        let why = match self.status {
            Status::Open => return Ok(()),
            Status::Failed => {
                "a write in it failed; roll it back, or back to a savepoint from before the failure"
            }
            Status::Ended => "it was committed or rolled back; begin another",
        };
        Err(Error::invalid("transaction", why))
    }

    pub fn snapshot(&self, reads: Option<&Arc<Reads>>) -> Snapshot {
        Snapshot::within(Arc::clone(&self.now), self.base.time(), self.seq, reads.map(Arc::clone))
    }

    pub fn table(&self, name: &TableName) -> Result<&Arc<TableState>> {
        self.now.state.table(name)
    }

    /// Tables that were written to.
    pub fn written(&self) -> impl Iterator<Item = &Arc<TableState>> {
        self.now.state.tables.values().filter(|table| table.is_overlay())
    }

    pub fn bytes(&self) -> usize {
        self.written().map(|table| table.active.bytes()).sum()
    }

    /// Ends it; what it had done is handed over.
    pub fn end(&mut self) -> Net {
        let empty = Published::new(Arc::default(), self.base.seq());
        let now = std::mem::replace(&mut self.now, Arc::new(empty));
        let net = Net { base: self.base.clone(), now, _registered: self.registered.take() };
        self.base = Snapshot::new(Arc::clone(&self.now));
        self.savepoints.clear();
        self.status = Status::Ended;
        net
    }

    /// Takes up an empty table.
    pub fn adopt(&mut self, def: Arc<TableDef>) {
        if self.now.state.tables.contains_key(&def.name) {
            return;
        }
        let table = Arc::new(TableState::new(def, Vec::new(), 0));
        let mut base = State::clone(&self.base.published().state);
        base.put(Arc::clone(&table));
        let base = Published::new(Arc::new(base), self.base.seq());
        self.base = Snapshot::within(Arc::new(base), self.base.time(), SeqNo(0), None);
        self.put([table]);
    }

    /// Puts other states in the place of tables.
    pub fn put(&mut self, tables: impl IntoIterator<Item = Arc<TableState>>) {
        let mut state = State::clone(&self.now.state);
        tables.into_iter().for_each(|table| state.put(table));
        self.now = Arc::new(Published::new(Arc::new(state), self.base.seq()));
    }

    /// A memtable of its own over the table as it began.
    pub fn overlay(&self, id: TableId, own: MemTable) -> Result<Arc<TableState>> {
        let base = self.base.published().state.table_by_id(id);
        let base = base.ok_or_else(|| Error::Internal("a table of a transaction is gone".into()))?;
        Ok(Arc::new(base.overlay(self.base.seq(), own, Arc::clone(&self.next_row_id))))
    }

    /// Applies every operation of a batch, in order.
    pub fn apply(&mut self, batch: &WriteBatch, reads: Option<&Reads>) -> Result<()> {
        for op in &batch.ops {
            let table = self.writable(&op.table)?;
            self.seq = self.seq.next();
            push(&table, op, self.seq, self.base.time(), reads)?;
            self.check_bytes()?;
        }
        Ok(())
    }

    fn check_bytes(&self) -> Result<()> {
        let (got, max) = (self.bytes() as u64, self.bytes_max as u64);
        if got <= max {
            return Ok(());
        }
        let what = "the writes of a transaction, in bytes (commit in smaller steps, or open the database with a higher limit of them)";
        Err(Error::Limit { what: what.into(), got, max })
    }

    /// The table of an operation, which must have the columns that it was made for, under a memtable of its own.
    fn writable(&mut self, def: &TableDef) -> Result<Arc<TableState>> {
        let table = self.now.state.table_by_id(def.id);
        let table = table.ok_or_else(|| Error::NotFound { entity: "table", name: def.name.to_string() })?;
        if table.def.version != def.version {
            return Err(Error::Conflict { table: def.name.to_string() });
        }
        if table.is_overlay() {
            return Ok(Arc::clone(table));
        }
        let own = self.overlay(def.id, MemTable::new(def.is_keyed()))?;
        self.put([Arc::clone(&own)]);
        Ok(own)
    }
}

fn push(table: &Arc<TableState>, op: &Op, seq: SeqNo, time: i64, reads: Option<&Reads>) -> Result<()> {
    let fresh = match (op.kind, &op.keys) {
        (OpKind::Insert, Some(keys)) => check_new(table, keys, time, reads)?,
        (OpKind::Insert, None) => true,
        _ => false,
    };
    let ids = if op.keys.is_none() { u64::from(op.encoded.rows) } else { 0 };
    let first = RowId(table.next_row_id.fetch_add(ids, Ordering::Relaxed));
    op.push(table, first, seq, fresh)
}

/// Fails for a key that has a row at `time`; true when no memtable knows any of the keys.
fn check_new(table: &Arc<TableState>, keys: &Keys, time: i64, reads: Option<&Reads>) -> Result<bool> {
    let newest = TableView::new(Arc::clone(table), SeqNo(u64::MAX)).at(time);
    // An expired row may be under a key that counts as new.
    let mut untouched = table.def.options.ttl.is_none();
    for i in 0..keys.len() {
        keys.with(i, |key| {
            if newest.contains(key)? {
                // Whoever goes on from a savepoint has learnt that the key is there.
                reads.inspect(|reads| reads.key(&table.def, key));
                return Err(duplicate(&table.def, key));
            }
            untouched &= table.memtables().all(|memtable| memtable.newest(key, u32::MAX).is_none());
            Ok(())
        })?;
    }
    Ok(untouched)
}

/// True for the id of a row that only its transaction knows.
pub(super) fn is_own_row(id: u64) -> bool {
    id >= OWN_ROW
}

//! A snapshot: every table as of one commit, for as long as somebody holds it.
//!
//! It pins the state (files and memtables) and the sequence number; nothing it needs is removed or overwritten while
//! it lives, and taking one costs two reference counts.

use std::sync::Arc;

use super::transaction::Reads;
use super::view::TableView;
use crate::common::{ClosedReason, Error, Result, SeqNo};
use crate::format::table::{TableDef, TableName};
use crate::lsm::Published;

/// All tables as of one commit.
#[derive(Clone, Debug)]
pub struct Snapshot {
    published: Arc<Published>,
    /// The last commit that was visible when it was taken.
    seq: SeqNo,
    /// The time it was taken: rows that had expired by then are not seen.
    time: i64,
    /// The newest write of the transaction it belongs to.
    own: SeqNo,
    /// Where a serializable transaction notes what is read.
    reads: Option<Arc<Reads>>,
    /// The process it was taken in.
    pid: u32,
}

impl Snapshot {
    pub(super) fn new(published: Arc<Published>) -> Self {
        let time = published.state.clock.now();
        Self::within(published, time, SeqNo(0), None)
    }

    /// What a transaction that began at `time` sees, up to its own write `own`.
    pub(super) fn within(
        published: Arc<Published>,
        time: i64,
        own: SeqNo,
        reads: Option<Arc<Reads>>,
    ) -> Self {
        let seq = published.seq();
        Self { published, seq, time, own, reads, pid: std::process::id() }
    }

    /// The moment by which rows have expired in it, in milliseconds since 1970.
    pub(super) fn time(&self) -> i64 {
        self.time
    }

    /// The last commit it sees; of a transaction's snapshot, the one that the transaction began at.
    #[must_use]
    pub fn seq(&self) -> SeqNo {
        self.seq
    }

    /// Names of the schemas, sorted.
    #[must_use]
    pub fn schemas(&self) -> Vec<String> {
        self.published.state.schemas.iter().cloned().collect()
    }

    /// The tables, sorted by name.
    #[must_use]
    pub fn tables(&self) -> Vec<Arc<TableDef>> {
        self.published.state.tables.values().map(|table| Arc::clone(&table.def)).collect()
    }

    /// A table.
    ///
    /// # Errors
    /// `NotFound`; `Closed` in a forked child, where another thread of the parent may have held any lock.
    pub fn table(&self, name: &TableName) -> Result<TableView> {
        if self.pid != std::process::id() {
            return Err(Error::Closed(ClosedReason::Forked));
        }
        let table = Arc::clone(self.published.state.table(name)?);
        let seq = if table.is_overlay() { self.own } else { self.seq };
        Ok(TableView::new(table, seq).at(self.time).tracked(self.reads.clone()))
    }

    pub(super) fn published(&self) -> &Arc<Published> {
        &self.published
    }
}

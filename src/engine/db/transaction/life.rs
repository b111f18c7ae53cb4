//! The life of a transaction: it begins, reads, writes, and is committed or rolled back.

use std::sync::Arc;

use super::work::{Status, Work};
use super::{Claim, Isolation, Reads};
use crate::common::sync::Mutex;
use crate::common::{Error, Result, SeqNo};
use crate::db::appender::{Appender, WriteMode};
use crate::db::batch::WriteBatch;
use crate::db::core::Core;
use crate::db::snapshot::Snapshot;
use crate::format::table::TableName;

/// A transaction under way. Dropped before [`Transaction::commit`], it leaves nothing behind.
///
/// Shared as `Arc<Transaction>`; every method may be called from any thread. Writes wait for one another.
#[derive(Debug)]
pub struct Transaction {
    core: Arc<Core>,
    /// The commit it began at.
    base: SeqNo,
    isolation: Isolation,
    read_only: bool,
    reads: Option<Arc<Reads>>,
    pub(super) work: Mutex<Work>,
}

/// A place among the open transactions: what is committed meanwhile stays known.
#[derive(Debug)]
pub(super) struct Registered {
    core: Arc<Core>,
    base: SeqNo,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.core.recent.end(self.base);
    }
}

impl Transaction {
    pub(in crate::db) fn begin(core: &Arc<Core>, isolation: Isolation, read_only: bool) -> Result<Arc<Self>> {
        core.check_open()?;
        core.refresh()?;
        let (core, published) = (Arc::clone(core), core.recent.begin(&core.published));
        let registered = Registered { core: Arc::clone(&core), base: published.seq() };
        // A transaction that only reads is serial at its snapshot, whatever happens meanwhile.
        let reads = (isolation == Isolation::Serializable && !read_only).then(Arc::default);
        let base = published.seq();
        let registered = (!read_only).then_some(registered);
        let work = Mutex::new(Work::new(published, registered, core.options.transaction_bytes));
        Ok(Arc::new(Self { core, base, isolation, read_only, reads, work }))
    }

    /// Every table as this transaction sees it now: as it began, with its own writes. The snapshot does not change
    /// with later writes.
    ///
    /// # Errors
    /// `Invalid` after a failed write and after the end; `Closed`.
    pub fn snapshot(&self) -> Result<Snapshot> {
        self.core.check_open()?;
        let work = self.work.lock();
        work.require_open()?;
        Ok(work.snapshot(self.reads.as_ref()))
    }

    /// Applies a batch: all of it, visible to this transaction's later snapshots. Its own durability and the snapshot
    /// that it is based on do not count.
    ///
    /// # Errors
    /// `AlreadyExists` for a key that is there, `NotFound` for a table that is not, `Conflict` when its columns changed,
    /// `Limit` when the transaction grows too large, `Invalid` when it is read-only. After an error only a rollback is
    /// possible.
    pub fn write(&self, batch: WriteBatch) -> Result<()> {
        if batch.ops.is_empty() {
            return Ok(());
        }
        let mut work = self.work.lock();
        work.require_open()?;
        // A panic on the way leaves it so.
        work.status = Status::Failed;
        self.check_writable()?;
        work.apply(&batch, self.reads.as_deref())?;
        work.status = Status::Open;
        Ok(())
    }

    fn check_writable(&self) -> Result<()> {
        self.core.check_writable()?;
        if self.read_only {
            return Err(Error::invalid("transaction", "it is read-only; begin one that may write"));
        }
        Ok(())
    }

    /// A write of many batches that is applied at its [`Appender::finish`], in memory. When it fails, or is dropped
    /// before, the transaction has failed.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` for an upsert without a primary key.
    pub fn appender(self: &Arc<Self>, table: &TableName, mode: WriteMode) -> Result<Appender> {
        let found = self.check_writable().and_then(|()| {
            let work = self.work.lock();
            work.require_open()?;
            work.table(table).cloned()
        });
        let made =
            found.and_then(|table| Appender::within(Arc::clone(&self.core), table, mode, Arc::clone(self)));
        made.inspect_err(|_| self.fail())
    }

    /// Makes a table that was created after this transaction began known to it, empty.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` after a failed write and after the end.
    pub fn adopt(&self, name: &TableName) -> Result<()> {
        let now = self.core.snapshot()?;
        let def = Arc::clone(now.table(name)?.def());
        let mut work = self.work.lock();
        work.require_open()?;
        work.adopt(def);
        Ok(())
    }

    /// Marks the transaction as failed: a step of it went wrong half-way, and only a rollback is possible.
    pub fn fail(&self) {
        let mut work = self.work.lock();
        if work.status == Status::Open {
            work.status = Status::Failed;
        }
    }

    /// Commits everything and ends the transaction.
    ///
    /// # Errors
    /// `Conflict` when another commit came first: run the whole transaction again. `Invalid` after a failed write. As
    /// [`Engine::commit`](crate::Engine::commit) otherwise. Whatever the error, the transaction is over, and nothing of
    /// it stays, unless the error says that writing has stopped: then opening again tells.
    pub fn commit(&self) -> Result<SeqNo> {
        let net = {
            let mut work = self.work.lock();
            let outcome = work.require_open();
            let ended = work.end();
            outcome.map(|()| ended)?
        };
        let mut batch = net.batch()?;
        if !batch.ops.is_empty() {
            let mut claim = Claim::new(self.base, self.reads.clone(), &batch.ops);
            // Most conflicts are found here, outside the writer lock; the commit looks at what came after.
            let outcome = self.core.check_claim(&claim, &self.core.published.load().state)?;
            (claim.checked, claim.unsure) = (outcome.checked, outcome.unsure);
            batch.claim = Some(claim);
        }
        self.core.commit(batch)
    }

    /// Ends the transaction and forgets its writes. After the end it does nothing.
    pub fn rollback(&self) {
        self.work.lock().end();
    }

    /// True until it is committed or rolled back.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.work.lock().status != Status::Ended
    }

    /// True when a write failed and only a rollback is possible.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.work.lock().status == Status::Failed
    }

    /// What it is protected from.
    #[must_use]
    pub fn isolation(&self) -> Isolation {
        self.isolation
    }

    /// True when it may not write.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// The last commit it sees.
    #[must_use]
    pub fn base(&self) -> SeqNo {
        self.base
    }

    /// Memory of its writes, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.work.lock().bytes()
    }
}

//! A connection: whether the statements of a handle commit by themselves, or belong to an open transaction.
//!
//! Whatever a handle reads or writes passes here, so SQL, tables and collections take part in a transaction alike. All
//! clones of a handle share its connection, and so its transaction, whichever thread they are on.

use std::sync::Arc;

use parking_lot::Mutex;
use trilith_engine::{
    Appender, Engine, Isolation, SeqNo, Snapshot, TableName, Transaction, WriteBatch, WriteMode,
};

use crate::error::{Error, Result};

/// One connection of an engine.
#[derive(Debug)]
pub struct Connection {
    engine: Arc<Engine>,
    open: Mutex<Option<Arc<Transaction>>>,
    /// It has one transaction for all its life, which SQL cannot end.
    scoped: bool,
    /// The past version that it reads.
    past: Option<Snapshot>,
}

/// Why a past version takes no writes.
const PAST: &str =
    "it is a past version, which is only read; write to the database itself, or to a branch of it";

/// A snapshot and where writes that follow from it go: what providers hold.
#[derive(Clone)]
pub struct Pinned {
    /// The engine of both.
    pub engine: Arc<Engine>,
    /// What is read.
    pub snapshot: Snapshot,
    /// The transaction that takes the writes; without one, each is a commit of its own.
    transaction: Option<Arc<Transaction>>,
    /// The snapshot is a past version, which takes no writes.
    is_past: bool,
}

impl Pinned {
    /// The same engine at a past version.
    #[must_use]
    pub fn past(&self, snapshot: Snapshot) -> Self {
        Self { engine: Arc::clone(&self.engine), snapshot, transaction: None, is_past: true }
    }

    fn check_present(&self) -> trilith_engine::Result<()> {
        if self.is_past {
            let what = format!("version {}", self.snapshot.seq());
            return Err(trilith_engine::Error::invalid(what, PAST));
        }
        Ok(())
    }

    /// Starts a write to a table.
    ///
    /// # Errors
    /// As [`Engine::appender`].
    pub fn appender(&self, table: &TableName, mode: WriteMode) -> trilith_engine::Result<Appender> {
        self.check_present()?;
        match &self.transaction {
            Some(transaction) => transaction.appender(table, mode),
            None => self.engine.appender(table, mode),
        }
    }

    /// Writes a batch.
    ///
    /// # Errors
    /// As [`Engine::commit`].
    pub fn write(&self, batch: WriteBatch) -> trilith_engine::Result<()> {
        self.check_present()?;
        match &self.transaction {
            Some(transaction) => transaction.write(batch),
            None => self.engine.commit(batch).map(drop),
        }
    }
}

impl Connection {
    /// A connection on which every statement commits by itself.
    #[must_use]
    pub fn new(engine: Arc<Engine>) -> Self {
        Self { engine, open: Mutex::default(), scoped: false, past: None }
    }

    /// A connection that reads a past version.
    #[must_use]
    pub fn past(engine: Arc<Engine>, snapshot: Snapshot) -> Self {
        Self { past: Some(snapshot), ..Self::new(engine) }
    }

    /// The past version that it reads.
    #[must_use]
    pub fn version(&self) -> Option<SeqNo> {
        self.past.as_ref().map(Snapshot::seq)
    }

    /// A connection that is one transaction.
    ///
    /// # Errors
    /// When the engine is closed.
    pub fn scoped(engine: Arc<Engine>, isolation: Isolation, read_only: bool) -> Result<Self> {
        let open = begun(&engine, isolation, read_only)?;
        Ok(Self { engine, open: Mutex::new(Some(open)), scoped: true, past: None })
    }

    /// What a statement that starts now reads, and where it writes.
    ///
    /// # Errors
    /// When the engine is closed, or the transaction has failed.
    pub fn pin(&self) -> Result<Pinned> {
        let transaction = self.transaction();
        let snapshot = match (&self.past, &transaction) {
            (Some(past), _) => past.clone(),
            (None, Some(transaction)) => transaction.snapshot()?,
            (None, None) => self.engine.snapshot()?,
        };
        let is_past = self.past.is_some();
        Ok(Pinned { engine: Arc::clone(&self.engine), snapshot, transaction, is_past })
    }

    /// The transaction that statements belong to.
    #[must_use]
    pub fn transaction(&self) -> Option<Arc<Transaction>> {
        self.open.lock().clone()
    }

    /// Opens a transaction for the statements that follow.
    ///
    /// # Errors
    /// `Invalid` when one is open.
    pub fn begin(&self, isolation: Isolation, read_only: bool) -> Result<()> {
        self.refuse_past("BEGIN")?;
        let mut open = self.open.lock();
        if open.is_some() {
            let why = "a transaction is open already; COMMIT or ROLLBACK it first, or set a SAVEPOINT in it";
            return Err(Error::invalid("BEGIN", why));
        }
        *open = Some(begun(&self.engine, isolation, read_only)?);
        Ok(())
    }

    /// Takes the open transaction out, to be ended.
    ///
    /// # Errors
    /// `Invalid` when none is open, or when it ends with its scope.
    pub fn end(&self, verb: &str) -> Result<Arc<Transaction>> {
        if self.scoped {
            let why = "the transaction belongs to the program; end it with commit() or rollback()";
            return Err(Error::invalid(verb, why));
        }
        self.open.lock().take().ok_or_else(|| none_open(verb))
    }

    /// The open transaction, for a statement about it.
    ///
    /// # Errors
    /// `Invalid` when none is open.
    pub fn require(&self, verb: &str) -> Result<Arc<Transaction>> {
        self.transaction().ok_or_else(|| none_open(verb))
    }

    fn refuse_past(&self, what: &str) -> Result<()> {
        self.past
            .as_ref()
            .map_or(Ok(()), |past| Err(Error::invalid(format!("{what} on version {}", past.seq()), PAST)))
    }

    /// Refuses what a transaction cannot take back, and a past version cannot take.
    ///
    /// # Errors
    /// `Unsupported` while a transaction is open; `Invalid` for a past version.
    pub fn refuse_within(&self, what: &str) -> Result<()> {
        self.refuse_past(what)?;
        match self.transaction() {
            Some(_) => {
                let what = format!("{what} inside a transaction");
                Err(Error::unsupported(
                    what,
                    "run it before BEGIN or after COMMIT, where it takes effect at once",
                ))
            }
            None => Ok(()),
        }
    }

    /// Watches a write: unless it is settled with success, a transaction that it belongs to has failed.
    pub fn watch(&self) -> Watch {
        Watch(self.transaction())
    }
}

fn begun(engine: &Arc<Engine>, isolation: Isolation, read_only: bool) -> Result<Arc<Transaction>> {
    Ok(if read_only { engine.begin_read_only()? } else { engine.begin(isolation)? })
}

fn none_open(verb: &str) -> Error {
    Error::invalid(verb, "no transaction is open; BEGIN opens one")
}

/// A write under way. Dropped before it is settled (an error, a panic, a cancelled call), it fails its transaction.
#[must_use]
pub struct Watch(Option<Arc<Transaction>>);

impl Watch {
    /// Passes the outcome on.
    ///
    /// # Errors
    /// The outcome's own.
    pub fn settle<T>(mut self, outcome: Result<T>) -> Result<T> {
        if outcome.is_ok() {
            self.0 = None;
        }
        outcome
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(transaction) = &self.0 {
            transaction.fail();
        }
    }
}

//! A transaction as Rust programs hold it: tables, collections and SQL that commit together.
//!
//! It is a handle of the database on a connection of its own, so whatever a [`Database`] can do, it does in the
//! transaction, with the same types. What is seen and when it conflicts is the engine's.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::RecordBatch;
use datafusion::dataframe::DataFrame;
use trilith_engine::{
    Error as EngineError, ErrorKind, Isolation, SeqNo, Snapshot, Transaction as EngineTransaction,
};

use crate::collection::Collection;
use crate::database::{Database, Query};
use crate::error::{Error, Result};
use crate::runtime;
use crate::table::Table;

/// The longest pause before a transaction runs again.
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// A transaction under way. When its last clone is dropped before [`Transaction::commit`], nothing of it stays.
///
/// ```no_run
/// # async fn example(db: trilith::Database, rows: arrow::array::RecordBatch) -> trilith::Result<()> {
/// let tx = db.begin().await?;
/// tx.table("items")?.append([rows])?;
/// tx.sql("UPDATE stock SET left = left - 1 WHERE item = 7").await?;
/// tx.commit().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Transaction {
    database: Database,
    engine: Arc<EngineTransaction>,
}

impl Transaction {
    pub(crate) fn begin(database: &Database, isolation: Isolation, read_only: bool) -> Result<Self> {
        let (database, engine) = database.scoped(isolation, read_only)?;
        Ok(Self { database, engine })
    }

    /// The database as the transaction sees it: what the handle reads and writes is part of the transaction.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// A table by name, as [`Database::table`].
    ///
    /// # Errors
    /// `NotFound` when there was none as the transaction began.
    pub fn table(&self, name: &str) -> Result<Table> {
        self.database.table(name)
    }

    /// A collection by name, as [`Database::collection`]. Its table, when there is none yet, is made at the first
    /// document and stays, empty, when the transaction is rolled back.
    #[must_use]
    pub fn collection(&self, name: &str) -> Collection {
        self.database.collection(name)
    }

    /// Runs SQL, as [`Database::sql`].
    ///
    /// # Errors
    /// Those of the statement. One that changes data and fails leaves a transaction that can only be rolled back.
    pub async fn sql(&self, sql: &str) -> Result<DataFrame> {
        self.database.sql(sql).await
    }

    /// Blocking twin of [`Transaction::sql`], with the rows computed.
    ///
    /// # Errors
    /// As [`Transaction::sql`].
    pub fn sql_blocking(&self, sql: &str) -> Result<Vec<RecordBatch>> {
        self.database.sql_blocking(sql)
    }

    /// SQL with parameters or objects of the caller, as [`Database::query`].
    pub fn query(&self, sql: impl Into<String>) -> Query {
        self.database.query(sql)
    }

    /// All tables as the transaction sees them now.
    ///
    /// # Errors
    /// `Invalid` after a failed write and after the end.
    pub fn snapshot(&self) -> Result<Snapshot> {
        self.database.snapshot()
    }

    /// Names this point of the transaction. A name set again hides the older one.
    ///
    /// # Errors
    /// `Invalid` after a failed write and after the end.
    pub fn savepoint(&self, name: &str) -> Result<()> {
        Ok(self.engine.savepoint(name)?)
    }

    /// Takes back every write since a savepoint, which stays. A transaction that had failed since goes on.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` after the end.
    pub fn rollback_to(&self, name: &str) -> Result<()> {
        Ok(self.engine.rollback_to(name)?)
    }

    /// Forgets a savepoint and those after it; what was written stays.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` after a failed write and after the end.
    pub fn release(&self, name: &str) -> Result<()> {
        Ok(self.engine.release(name)?)
    }

    /// Commits everything at once and ends the transaction, for its clones too. A call that is dropped while it waits
    /// is still carried out, wholly or not at all.
    ///
    /// # Errors
    /// `Conflict` when another commit came first: run the whole transaction again, as [`Database::transact`] does.
    /// `Invalid` after a failed write. The transaction is over in any case.
    pub async fn commit(self) -> Result<SeqNo> {
        let runtime = runtime::handle()?;
        let done = runtime.spawn_blocking(move || self.commit_blocking());
        done.await.map_err(|_| EngineError::Internal("a commit panicked".into()))?
    }

    /// Blocking twin of [`Transaction::commit`].
    ///
    /// # Errors
    /// As [`Transaction::commit`].
    pub fn commit_blocking(self) -> Result<SeqNo> {
        self.database.check_open()?;
        Ok(self.engine.commit()?)
    }

    /// Ends the transaction and forgets what it wrote.
    pub fn rollback(self) {
        self.engine.rollback();
    }

    /// False once it is committed or rolled back.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.engine.is_open()
    }

    /// True when a write failed and only a rollback is possible.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.engine.has_failed()
    }
}

impl Database {
    /// Begins a transaction at snapshot isolation: it reads one snapshot with its own writes, and commits only if
    /// nobody changed a row that it writes.
    ///
    /// # Errors
    /// When the database is closed.
    pub async fn begin(&self) -> Result<Transaction> {
        self.begin_blocking(Isolation::Snapshot)
    }

    /// Begins a transaction at a level of isolation. Never waits for others.
    ///
    /// # Errors
    /// When the database is closed.
    pub fn begin_blocking(&self, isolation: Isolation) -> Result<Transaction> {
        Transaction::begin(self, isolation, false)
    }

    /// Begins a transaction that reads one snapshot and refuses to write.
    ///
    /// # Errors
    /// When the database is closed.
    pub fn begin_read_only(&self) -> Result<Transaction> {
        Transaction::begin(self, Isolation::Snapshot, true)
    }

    /// Runs `work` in a transaction and commits it; after a `Conflict` again in a new one, at most `retries` times, with
    /// pauses that grow. `work` may run several times, so it should have no effects outside of the transaction.
    ///
    /// ```no_run
    /// # use trilith::{Database, Isolation, Result, Transaction};
    /// # async fn example(db: Database) -> Result<()> {
    /// let moved = db.transact(Isolation::Serializable, 10, |tx: Transaction| async move {
    ///     tx.sql("UPDATE accounts SET balance = balance - 5 WHERE id = 1").await?;
    ///     tx.sql("UPDATE accounts SET balance = balance + 5 WHERE id = 2").await?;
    ///     Ok(5)
    /// });
    /// assert_eq!(moved.await?, 5);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of `work`, which roll back; those of the commit; the last `Conflict` when the retries are used up.
    pub async fn transact<T, F>(
        &self,
        isolation: Isolation,
        retries: u32,
        mut work: impl FnMut(Transaction) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let mut attempt = 0;
        loop {
            let tx = self.begin_blocking(isolation)?;
            let outcome = match work(tx.clone()).await {
                Ok(value) => tx.commit().await.map(|_| value),
                Err(error) => {
                    tx.rollback();
                    Err(error)
                }
            };
            match outcome {
                Err(error) if runs_again(&error, attempt, retries) => {
                    let pause = retry_delay(attempt);
                    let rested = async move {
                        tokio::time::sleep(pause).await;
                        Ok(())
                    };
                    runtime::on_worker(rested).await?;
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    /// Blocking twin of [`Database::transact`].
    ///
    /// # Errors
    /// As [`Database::transact`].
    pub fn transact_blocking<T>(
        &self,
        isolation: Isolation,
        retries: u32,
        mut work: impl FnMut(&Transaction) -> Result<T>,
    ) -> Result<T> {
        let mut attempt = 0;
        loop {
            let tx = self.begin_blocking(isolation)?;
            let outcome = work(&tx).and_then(|value| tx.commit_blocking().map(|_| value));
            match outcome {
                Err(error) if runs_again(&error, attempt, retries) => {
                    std::thread::sleep(retry_delay(attempt));
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }
}

fn runs_again(error: &Error, attempt: u32, retries: u32) -> bool {
    error.kind() == ErrorKind::Conflict && attempt < retries
}

/// How long to wait before attempt `attempt + 1`: at random up to 2^attempt ms, at most 100 ms (full jitter, as in
/// Brooker, "Exponential Backoff And Jitter", AWS 2015).
#[must_use]
pub fn retry_delay(attempt: u32) -> Duration {
    let longest = Duration::from_millis(1 << attempt.min(16)).min(PAUSE_MAX);
    // Without randomness two that collided wait equally long, which only costs another attempt.
    let share = getrandom::u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX));
    longest.mul_f64(share)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;

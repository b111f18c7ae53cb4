//! The handle of an open database: an engine, the sessions over it, and the calls of every door.
//!
//! Cheap to clone. Async calls may come from any runtime: planning and writing happen on the process's
//! own. Each has a blocking twin. A handle opened before `fork()` refuses to work in the child.

mod call;
mod keys;
mod search;
mod time;

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::dataframe::DataFrame;
use datafusion::prelude::SessionContext;
use tokio::runtime::Handle;
use trilith_engine::{
    Appender, BackupReport, ClosedReason, CopyMode, Engine, Error as EngineError, ExportReport, IfExists,
    Isolation, OnProgress, Snapshot, TableName, TableSpec, Transaction as EngineTransaction, VacuumReport,
    WriteBatch, WriteMode,
};

pub use self::call::Query;
pub use self::time::At;
use crate::collection::Collection;
use crate::error::Result;
use crate::options::Options;
use crate::query::connection::{Connection, Pinned, Watch};
use crate::query::passing;
use crate::query::schema::LocalTables;
use crate::query::session::Sessions;
use crate::query::statements;
use crate::runtime;
use crate::table::Table;

/// Path that stands for a database in memory, which ends with its last handle.
const IN_MEMORY: &str = ":memory:";

/// An open database, and one connection of it.
///
/// Clones share the connection: between SQL's `BEGIN` and `COMMIT` on one of them, everything done through any of them
/// belongs to that transaction. [`Database::connect`] gives a connection of its own, [`Database::begin`] a transaction
/// that no other handle takes part in.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
    connection: Arc<Connection>,
}

struct Inner {
    engine: Arc<Engine>,
    sessions: Sessions,
    /// The process that opened it.
    pid: u32,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Database({})", self.inner.engine.path())
    }
}

impl Database {
    /// Opens the database at `path`, creating it when there is none; `":memory:"` for one without files. A database in a
    /// single file ([`Database::export`]) is opened for reading only.
    ///
    /// One process that opens one path twice gets two handles of one engine.
    ///
    /// # Errors
    /// `Busy` when another process writes to it, `Corrupt` or `Unsupported` for files that cannot be
    /// trusted, `Io` when the operating system refuses.
    pub async fn open(path: impl AsRef<Path>, options: Options) -> Result<Self> {
        let path = path.as_ref().to_owned();
        runtime::on_worker(async move { Self::open_now(&path, &options) }).await
    }

    /// Blocking twin of [`Database::open`].
    ///
    /// # Errors
    /// As [`Database::open`].
    pub fn open_blocking(path: impl AsRef<Path>, options: Options) -> Result<Self> {
        Self::open_now(path.as_ref(), &options)
    }

    /// A database in memory.
    ///
    /// # Errors
    /// When the operating system refuses threads.
    pub fn in_memory() -> Result<Self> {
        Self::open_now(Path::new(IN_MEMORY), &Options::default())
    }

    fn open_now(path: &Path, options: &Options) -> Result<Self> {
        let engine = match path.to_str() {
            Some(IN_MEMORY) => Engine::in_memory(options.engine.clone())?,
            _ => Engine::open_path(path, options.engine.clone())?,
        };
        Self::over(engine, options)
    }

    /// A database over an engine that is open already.
    ///
    /// # Errors
    /// When the session cannot be set up.
    pub fn over(engine: Arc<Engine>, options: &Options) -> Result<Self> {
        if !engine.options().read_only {
            passing::drop_orphans(&engine)?;
        }
        let sessions = Sessions::new(options)?;
        let connection = Arc::new(Connection::new(Arc::clone(&engine)));
        Ok(Self { inner: Arc::new(Inner { engine, sessions, pid: std::process::id() }), connection })
    }

    /// Another connection of the same database: its `BEGIN` and `COMMIT` are its own. Settings are shared.
    #[must_use]
    pub fn connect(&self) -> Self {
        let connection = Arc::new(Connection::new(Arc::clone(&self.inner.engine)));
        Self { inner: Arc::clone(&self.inner), connection }
    }

    /// A handle whose connection is a transaction.
    pub(crate) fn scoped(
        &self,
        isolation: Isolation,
        read_only: bool,
    ) -> Result<(Self, Arc<EngineTransaction>)> {
        self.check_open()?;
        let connection = Connection::scoped(Arc::clone(&self.inner.engine), isolation, read_only)?;
        let transaction = connection.require("a transaction")?;
        Ok((Self { inner: Arc::clone(&self.inner), connection: Arc::new(connection) }, transaction))
    }

    /// Runs SQL. What changes the database is done when this returns; a query is computed when its
    /// result is asked for. Of several statements, separated by `;`, the last one's result is returned.
    ///
    /// # Errors
    /// Those of the statement; nothing of a failed statement is kept.
    pub async fn sql(&self, sql: &str) -> Result<DataFrame> {
        self.query(sql).run().await
    }

    /// Blocking twin of [`Database::sql`], with the rows computed.
    ///
    /// # Errors
    /// As [`Database::sql`].
    pub fn sql_blocking(&self, sql: &str) -> Result<Vec<RecordBatch>> {
        self.query(sql).collect_blocking()
    }

    /// SQL with parameters or objects of the caller.
    pub fn query(&self, sql: impl Into<String>) -> Query {
        Query::new(self, sql.into())
    }

    /// A table by name: `items`, `sales.items`, or quoted as in SQL.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub fn table(&self, name: &str) -> Result<Table> {
        self.check_open()?;
        Table::named(self, crate::table::parse_name(name)?)
    }

    /// A collection of documents by name; it is created with its first document.
    #[must_use]
    pub fn collection(&self, name: &str) -> Collection {
        let verbatim = || TableName::public(name);
        Collection::new(self.clone(), crate::table::parse_name(name).unwrap_or_else(|_| verbatim()))
    }

    /// Creates a table of these columns, keyed by `primary_key` unless that is empty.
    ///
    /// # Errors
    /// `AlreadyExists`, unless `exists` says otherwise; `Invalid` for columns a table cannot have.
    pub fn create_table(
        &self,
        name: &str,
        schema: SchemaRef,
        primary_key: &[&str],
        exists: IfExists,
    ) -> Result<Table> {
        self.check_definable("CREATE TABLE")?;
        let name = crate::table::parse_name(name)?;
        let primary_key = primary_key.iter().map(|column| (*column).to_owned()).collect();
        let (defaults, options) = (HashMap::new(), trilith_engine::OptionTexts::new());
        let spec = TableSpec { name: name.clone(), schema, primary_key, defaults, options, indexes: vec![] };
        self.inner.engine.create_table(&spec, exists)?;
        Table::named(self, name)
    }

    /// Names of the tables, by schema and name.
    ///
    /// # Errors
    /// When the database is closed.
    pub fn table_names(&self) -> Result<Vec<TableName>> {
        let tables = self.snapshot()?.tables();
        let listed = tables.iter().map(|def| &def.name).filter(|name| !passing::is_passing(name));
        let mut names: Vec<TableName> = listed.cloned().collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Tables that `sql` names and the database does not have: what a caller may lend with [`Query::table`].
    ///
    /// # Errors
    /// When the text is not SQL.
    pub fn unknown_tables(&self, sql: &str) -> Result<Vec<String>> {
        self.check_open()?;
        statements::unknown_tables(&self.inner.sessions, &self.connection, sql)
    }

    /// A DataFusion context over the newest snapshot; it keeps reading that snapshot. Statements that
    /// write belong to [`Database::sql`].
    ///
    /// # Errors
    /// When the database is closed.
    pub fn session(&self) -> Result<SessionContext> {
        Ok(self.pinned_session()?.1)
    }

    /// The newest snapshot and a context over it.
    pub(crate) fn pinned_session(&self) -> Result<(Pinned, SessionContext)> {
        let pinned = self.pin()?;
        let state = self.inner.sessions.state(&pinned, LocalTables::default(), None);
        Ok((pinned, SessionContext::new_with_state(state)))
    }

    /// What a call that starts now reads, and where it writes.
    pub(crate) fn pin(&self) -> Result<Pinned> {
        self.check_open()?;
        self.connection.pin()
    }

    /// Watches a write, which fails the open transaction unless it is settled with success.
    pub(crate) fn watch(&self) -> Watch {
        self.connection.watch()
    }

    /// The transaction that calls belong to.
    pub(crate) fn open_transaction(&self) -> Option<Arc<EngineTransaction>> {
        self.connection.transaction()
    }

    /// Starts a bulk write of any length as one commit, or as one write of the open transaction.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` for an upsert without a primary key.
    pub fn appender(&self, table: &TableName, mode: WriteMode) -> Result<Appender> {
        Ok(self.pin()?.appender(table, mode)?)
    }

    /// Commits a batch, or adds it to the open transaction.
    ///
    /// # Errors
    /// As the engine's commit.
    pub fn write(&self, batch: WriteBatch) -> Result<()> {
        Ok(self.pin()?.write(batch)?)
    }

    /// Refuses a change of definitions where it could not be taken back.
    ///
    /// # Errors
    /// `Unsupported` inside a transaction.
    pub fn check_definable(&self, what: &str) -> Result<()> {
        self.check_open()?;
        self.connection.refuse_within(what)
    }

    /// The durable half.
    #[must_use]
    pub fn engine(&self) -> &Arc<Engine> {
        &self.inner.engine
    }

    /// All tables as of now; inside a transaction, as that sees them.
    ///
    /// # Errors
    /// When the database is closed; `Invalid` in a transaction that has failed.
    pub fn snapshot(&self) -> Result<Snapshot> {
        Ok(self.pin()?.snapshot)
    }

    /// The process's own runtime, on which results may be computed.
    ///
    /// # Errors
    /// In a forked child, and when the operating system refuses threads.
    pub fn runtime(&self) -> Result<Handle> {
        self.check_open()?;
        runtime::handle()
    }

    /// Runs a future on the process's own runtime and waits for it; callable from any thread.
    ///
    /// # Errors
    /// Those of the future; `Internal` when it panics.
    pub fn block_on<T, F>(&self, future: F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        self.check_open()?;
        runtime::block_on(future)
    }

    /// Copies the database as of now into the folder `path`, which is then a database itself, while writers go on;
    /// [`crate::restore`] is the way back. A second backup into the folder brings only what is new.
    ///
    /// # Errors
    /// `Invalid` when the folder holds anything but an earlier backup of this database, `Corrupt` when a file is not
    /// what was written. The folder is as it was then.
    pub async fn backup(&self, path: impl AsRef<Path>, mode: CopyMode) -> Result<BackupReport> {
        let (database, path) = (self.clone(), path.as_ref().to_owned());
        runtime::on_worker(async move { database.backup_blocking(path, mode, &mut |_| Ok(())) }).await
    }

    /// Blocking twin of [`Database::backup`]. `progress` may end it with an error.
    ///
    /// # Errors
    /// As [`Database::backup`].
    pub fn backup_blocking(
        &self,
        path: impl AsRef<Path>,
        mode: CopyMode,
        progress: OnProgress<'_>,
    ) -> Result<BackupReport> {
        self.check_open()?;
        Ok(self.inner.engine.backup(path.as_ref(), mode, progress)?)
    }

    /// Writes the database, as it is now or as the past version that this handle reads, into the single file `path`, while
    /// writers go on. The file is opened like a folder, and only read; [`crate::restore`] makes a database of it that is
    /// written to.
    ///
    /// # Errors
    /// `Invalid` when something is at `path` and `replace` is false, `Corrupt` when a file is not what was written. Nothing
    /// changed at `path` then.
    pub async fn export(&self, path: impl AsRef<Path>, replace: bool) -> Result<ExportReport> {
        let (database, path) = (self.clone(), path.as_ref().to_owned());
        runtime::on_worker(async move { database.export_blocking(path, replace, &mut |_| Ok(())) }).await
    }

    /// Blocking twin of [`Database::export`]. `progress` may end it with an error.
    ///
    /// # Errors
    /// As [`Database::export`].
    pub fn export_blocking(
        &self,
        path: impl AsRef<Path>,
        replace: bool,
        progress: OnProgress<'_>,
    ) -> Result<ExportReport> {
        self.check_open()?;
        Ok(self.inner.engine.export(path.as_ref(), replace, self.past_version(), progress)?)
    }

    /// Rewrites every file that holds deleted, replaced or expired rows, now, and removes files that nothing names. Once it
    /// has returned, the bytes of such rows are in no file, except where a snapshot reads it, or a past version that a tag
    /// or the retention keeps needs it. Never needed for space: compaction gives that back in time.
    ///
    /// # Errors
    /// When the disk refuses; nothing is lost then. `Unsupported` inside a transaction, `Invalid` for a past version.
    pub async fn vacuum(&self) -> Result<VacuumReport> {
        let database = self.clone();
        runtime::on_worker(async move { database.vacuum_blocking() }).await
    }

    /// Blocking twin of [`Database::vacuum`].
    ///
    /// # Errors
    /// As [`Database::vacuum`].
    pub fn vacuum_blocking(&self) -> Result<VacuumReport> {
        self.check_open()?;
        self.connection.refuse_within("a vacuum")?;
        Ok(self.inner.engine.vacuum()?)
    }

    /// Writes what is in memory to files and closes the engine for every handle of it.
    ///
    /// # Errors
    /// When the last write fails; everything acknowledged is recovered at the next opening.
    pub fn close(&self) -> Result<()> {
        self.check_open()?;
        Ok(self.inner.engine.close()?)
    }

    pub(crate) fn check_open(&self) -> Result<()> {
        if self.inner.pid == std::process::id() {
            return Ok(());
        }
        Err(EngineError::Closed(ClosedReason::Forked).into())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;

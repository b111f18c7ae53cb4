//! The handle of an open database: an engine, the sessions over it, and the calls of every door.
//!
//! Cheap to clone. Async calls may come from any runtime: planning and writing happen on the process's
//! own. Each has a blocking twin. A handle opened before `fork()` refuses to work in the child.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::ParamValues;
use datafusion::dataframe::DataFrame;
use datafusion::prelude::SessionContext;
use tokio::runtime::Handle;
use trilith_engine::{ClosedReason, Engine, Error as EngineError, IfExists, Snapshot, TableName, TableSpec};

use crate::collection::Collection;
use crate::error::Result;
use crate::options::Options;
use crate::query::passing;
use crate::query::schema::LocalTables;
use crate::query::session::{Pinned, Sessions};
use crate::query::statements::{self, Call};
use crate::runtime;
use crate::table::Table;

/// Path that stands for a database in memory, which ends with its last handle.
const IN_MEMORY: &str = ":memory:";

/// An open database.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
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
    /// Opens the database at `path`, creating it when there is none; `":memory:"` for one without files.
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
        let sessions = Sessions::new(Arc::clone(&engine), options)?;
        Ok(Self { inner: Arc::new(Inner { engine, sessions, pid: std::process::id() }) })
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
        Query { database: self.clone(), sql: sql.into(), params: None, locals: HashMap::new() }
    }

    /// A table by name: `items`, `sales.items`, or quoted as in SQL.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub fn table(&self, name: &str) -> Result<Table> {
        self.check_open()?;
        Table::find(self, crate::table::parse_name(name)?)
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
        self.check_open()?;
        let name = crate::table::parse_name(name)?;
        let primary_key = primary_key.iter().map(|column| (*column).to_owned()).collect();
        let (defaults, options) = (HashMap::new(), trilith_engine::OptionTexts::new());
        let spec = TableSpec { name: name.clone(), schema, primary_key, defaults, options };
        self.inner.engine.create_table(&spec, exists)?;
        Table::find(self, name)
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
        statements::unknown_tables(&self.inner.sessions, sql)
    }

    /// A DataFusion context over the newest snapshot; it keeps reading that snapshot. Statements that
    /// write belong to [`Database::sql`].
    ///
    /// # Errors
    /// When the database is closed.
    pub fn session(&self) -> Result<SessionContext> {
        self.check_open()?;
        let (_, state) = self.inner.sessions.state(LocalTables::default())?;
        Ok(SessionContext::new_with_state(state))
    }

    /// The newest snapshot and a context over it.
    pub(crate) fn pinned_session(&self) -> Result<(Pinned, SessionContext)> {
        self.check_open()?;
        let (pinned, state) = self.inner.sessions.state(LocalTables::default())?;
        Ok((pinned, SessionContext::new_with_state(state)))
    }

    /// The durable half.
    #[must_use]
    pub fn engine(&self) -> &Arc<Engine> {
        &self.inner.engine
    }

    /// All tables as of now.
    ///
    /// # Errors
    /// When the database is closed.
    pub fn snapshot(&self) -> Result<Snapshot> {
        self.check_open()?;
        Ok(self.inner.engine.snapshot()?)
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

/// A call under construction: SQL, parameters, and objects lent to it.
#[derive(Clone)]
#[must_use = "call run() or collect_blocking()"]
pub struct Query {
    database: Database,
    sql: String,
    params: Option<ParamValues>,
    locals: HashMap<String, Arc<dyn TableProvider>>,
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Query({})", self.sql)
    }
}

impl Query {
    /// Values for `$1`, `$2` or `$name`.
    pub fn params(mut self, params: impl Into<ParamValues>) -> Self {
        self.params = Some(params.into());
        self
    }

    /// Lends an object to this call under a name; it hides a table of that name.
    pub fn table(mut self, name: impl Into<String>, table: Arc<dyn TableProvider>) -> Self {
        self.locals.insert(name.into(), table);
        self
    }

    /// Runs it; see [`Database::sql`].
    ///
    /// # Errors
    /// As [`Database::sql`].
    pub async fn run(self) -> Result<DataFrame> {
        self.database.check_open()?;
        runtime::on_worker(self.run_here()).await
    }

    /// Runs it and computes the rows, blocking.
    ///
    /// # Errors
    /// As [`Database::sql`].
    pub fn collect_blocking(self) -> Result<Vec<RecordBatch>> {
        self.database.check_open()?;
        runtime::block_on(async move { Ok(self.run_here().await?.collect().await?) })
    }

    /// Runs it, blocking; the rows of a query are computed when they are asked for.
    ///
    /// # Errors
    /// As [`Database::sql`].
    pub fn run_blocking(self) -> Result<DataFrame> {
        self.database.check_open()?;
        runtime::block_on(self.run_here())
    }

    async fn run_here(self) -> Result<DataFrame> {
        let call = Call { sql: self.sql, params: self.params, locals: Arc::new(self.locals) };
        statements::run(&self.database.inner.sessions, call).await
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;

//! A call: one SQL text with its parameters and the objects lent to it, on its way to the connection that runs it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::common::ParamValues;
use datafusion::dataframe::DataFrame;

use super::Database;
use crate::error::Result;
use crate::query::statements::{self, Call};
use crate::runtime;

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
    pub(super) fn new(database: &Database, sql: String) -> Self {
        Self { database: database.clone(), sql, params: None, locals: HashMap::new() }
    }

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
        let connection = Arc::clone(&self.database.connection);
        let call = Call { sql: self.sql, connection, params: self.params, locals: Arc::new(self.locals) };
        statements::run(&self.database.inner.sessions, call).await
    }
}

//! A transaction: the native half of `trilith.Transaction`.
//!
//! What it hands out are the same tables, collections and queries as a database's, over a handle that is the transaction.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::collection::Collection;
use crate::database;
use crate::error::{from_database, from_engine};
use crate::query::Query;
use crate::table::Table;

/// A transaction under way; forgotten with its last reference, it leaves nothing.
#[pyclass(frozen, module = "trilith._native")]
pub(crate) struct Transaction(trilith::Transaction);

impl Transaction {
    /// Begins one on `database`.
    pub(crate) fn begin(
        py: Python<'_>,
        database: &trilith::Database,
        isolation: &str,
        read_only: bool,
    ) -> PyResult<Self> {
        let isolation = isolation.parse::<trilith::Isolation>().map_err(from_engine)?;
        let begun = py.detach(|| match read_only {
            true => database.begin_read_only(),
            false => database.begin_blocking(isolation),
        });
        begun.map(Self).map_err(from_database)
    }
}

#[pymethods]
impl Transaction {
    /// Plans `query`; `objects` are tables for this query alone.
    fn sql(
        &self,
        py: Python<'_>,
        query: String,
        params: &Bound<'_, PyAny>,
        objects: &Bound<'_, PyDict>,
    ) -> PyResult<Query> {
        database::sql(py, self.0.database(), query, params, objects)
    }

    /// Tables that `query` names and the database does not have.
    fn unknown_tables(&self, py: Python<'_>, query: &str) -> PyResult<Vec<String>> {
        py.detach(|| self.0.database().unknown_tables(query)).map_err(from_database)
    }

    /// Names of all tables, sorted.
    fn tables(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        database::tables(py, self.0.database())
    }

    /// The table of this name.
    fn table(&self, py: Python<'_>, name: &str) -> PyResult<Table> {
        database::table(py, self.0.database(), name)
    }

    /// The collection of this name.
    fn collection(&self, name: &str) -> Collection {
        Collection::new(self.0.database().clone(), name)
    }

    /// Names this point of the transaction.
    fn savepoint(&self, name: &str) -> PyResult<()> {
        self.0.savepoint(name).map_err(from_database)
    }

    /// Takes back every write since a savepoint.
    fn rollback_to(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        py.detach(|| self.0.rollback_to(name)).map_err(from_database)
    }

    /// Forgets a savepoint.
    fn release(&self, name: &str) -> PyResult<()> {
        self.0.release(name).map_err(from_database)
    }

    /// Commits everything and ends the transaction.
    fn commit(&self, py: Python<'_>) -> PyResult<()> {
        let transaction = self.0.clone();
        py.detach(|| transaction.commit_blocking()).map(drop).map_err(from_database)
    }

    /// Ends the transaction and forgets what it wrote.
    fn rollback(&self, py: Python<'_>) {
        let transaction = self.0.clone();
        py.detach(|| transaction.rollback());
    }

    /// False once it is committed or rolled back.
    #[getter]
    fn is_open(&self) -> bool {
        self.0.is_open()
    }

    /// True when a write failed and only a rollback is possible.
    #[getter]
    fn has_failed(&self) -> bool {
        self.0.has_failed()
    }
}

/// Seconds to wait before a transaction that lost a race for the `attempt`-th time runs again.
#[pyfunction]
pub(crate) fn retry_delay(attempt: u32) -> f64 {
    trilith::retry_delay(attempt).as_secs_f64()
}

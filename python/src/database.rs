//! An open database: the native half of `trilith.Database`.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use trilith::At;
use trilith::engine::{IfExists, Snapshot, TableName};

use crate::collection::Collection;
use crate::error::{from_database, from_engine};
use crate::handles::Handle;
use crate::local_object::provider;
use crate::operations;
use crate::options::options as to_options;
use crate::query::Query;
use crate::statement::Statement;
use crate::table::Table;
use crate::table_create::{self, NewTable};
use crate::transaction::Transaction;

/// A handle on a database; all handles of one process on one path share the engine.
#[pyclass(frozen, module = "trilith._native")]
pub(crate) struct Database(Handle);

/// What `create_table` is asked for.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Create {
    primary_key: Vec<String>,
    if_exists: String,
    progress: Option<Py<PyAny>>,
    options: std::collections::BTreeMap<String, String>,
}

#[pymethods]
impl Database {
    /// Opens or makes the database at `path`.
    #[staticmethod]
    fn open(py: Python<'_>, path: String, options: &Bound<'_, PyDict>) -> PyResult<Self> {
        let options = to_options(options)?;
        let opened = py.detach(|| trilith::Database::open_blocking(path, options)).map_err(from_database)?;
        Ok(Self(Handle::new(opened)))
    }

    /// Where the database is.
    #[getter]
    fn path(&self) -> String {
        self.0.database().engine().path()
    }

    /// Plans `query`; `objects` are tables for this query alone.
    fn sql(
        &self,
        py: Python<'_>,
        query: String,
        params: &Bound<'_, PyAny>,
        objects: &Bound<'_, PyDict>,
    ) -> PyResult<Query> {
        sql(py, self.0.get()?, query, params, objects)
    }

    /// Tables that `query` names and the database does not have.
    fn unknown_tables(&self, py: Python<'_>, query: &str) -> PyResult<Vec<String>> {
        let database = self.0.get()?;
        py.detach(|| database.unknown_tables(query)).map_err(from_database)
    }

    /// Names of all tables, sorted.
    fn tables(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        tables(py, self.0.get()?)
    }

    /// The table of this name.
    fn table(&self, py: Python<'_>, name: &str) -> PyResult<Table> {
        table(py, self.0.get()?, name)
    }

    /// Begins a transaction.
    fn begin(&self, py: Python<'_>, isolation: &str, read_only: bool) -> PyResult<Transaction> {
        Transaction::begin(py, self.0.get()?, isolation, read_only)
    }

    /// Creates a table; see `table_create`.
    fn create_table(
        &self,
        py: Python<'_>,
        name: &str,
        data: &Bound<'_, PyAny>,
        request: Create,
    ) -> PyResult<Table> {
        let name = resolve(py, self.0.get()?, name)?;
        let exists = match request.if_exists.as_str() {
            "keep" => IfExists::Keep,
            "replace" => IfExists::Replace,
            _ => IfExists::Fail,
        };
        let Create { primary_key, progress, options, .. } = request;
        let table = NewTable { name: name.clone(), primary_key, exists, options };
        table_create::create(py, self.0.get()?, table, data, progress)?;
        Ok(Table::new(self.0.get()?.clone(), name))
    }

    /// Drops a table.
    fn drop_table(&self, py: Python<'_>, name: &str, if_exists: bool) -> PyResult<()> {
        let database = self.0.get()?;
        database.check_definable("drop_table").map_err(from_database)?;
        let name = resolve(py, database, name)?;
        let engine = database.engine();
        let dropped = py.detach(|| engine.drop_table(&name));
        match dropped {
            Err(trilith::engine::Error::NotFound { .. }) if if_exists => Ok(()),
            other => other.map_err(from_engine),
        }
    }

    /// The collection of this name.
    fn collection(&self, name: &str) -> PyResult<Collection> {
        Ok(Collection::new(self.0.get()?.clone(), name))
    }

    /// Writes what is in memory to files.
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        let engine = self.0.get()?.engine();
        py.detach(|| engine.flush()).map_err(from_engine)
    }

    /// Copies the database as of now into a folder; `(bytes done, bytes in all, seconds)` go to `progress`.
    fn backup<'py>(
        &self,
        py: Python<'py>,
        path: &str,
        copy: bool,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        operations::backup(py, self.0.get()?, path, copy, progress)
    }

    /// True when files are encrypted.
    #[getter]
    fn encrypted(&self) -> PyResult<bool> {
        Ok(self.0.get()?.engine().is_encrypted())
    }

    /// Makes another key the one that opens the database.
    fn rotate_key(&self, py: Python<'_>, encryption_key: &Bound<'_, PyAny>) -> PyResult<()> {
        let (database, key) = (self.0.get()?, crate::options::key(encryption_key)?);
        py.detach(|| database.rotate_key_blocking(&key)).map_err(from_database)
    }

    /// Rewrites the files that hold deleted rows.
    fn vacuum<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        operations::vacuum(py, self.0.get()?)
    }

    /// The number of the newest version.
    fn version(&self, py: Python<'_>) -> PyResult<u64> {
        let database = self.0.get()?;
        py.detach(|| database.version()).map_err(from_database)
    }

    /// The database as of a version, a moment (milliseconds since 1970 UTC) or a tag.
    fn at(
        &self,
        py: Python<'_>,
        version: Option<u64>,
        millis: Option<i64>,
        tag: Option<String>,
    ) -> PyResult<Self> {
        let at = match (version, millis, tag) {
            (Some(number), _, _) => At::Version(number),
            (_, Some(millis), _) => At::Moment(millis),
            (_, _, tag) => At::Tag(tag.unwrap_or_default()),
        };
        let database = self.0.get()?;
        let past = py.detach(|| database.at(&at)).map_err(from_database)?;
        Ok(Self(Handle::new(past)))
    }

    /// Names the newest version.
    fn create_tag(&self, py: Python<'_>, name: &str) -> PyResult<u64> {
        let database = self.0.get()?;
        py.detach(|| database.create_tag(name)).map_err(from_database)
    }

    /// Takes the name of a version away.
    fn drop_tag(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        let database = self.0.get()?;
        database.check_definable("drop_tag").map_err(from_database)?;
        py.detach(|| database.engine().drop_tag(name)).map_err(from_engine)
    }

    /// Changes options of the database, given as text.
    fn set_options(
        &self,
        py: Python<'_>,
        options: std::collections::BTreeMap<String, String>,
    ) -> PyResult<()> {
        let database = self.0.get()?;
        database.check_definable("set_retention").map_err(from_database)?;
        py.detach(|| database.engine().set_options(&options)).map_err(from_engine)
    }

    /// Writes the database into a single file; `(bytes done, bytes in all, seconds)` go to `progress`.
    fn export<'py>(
        &self,
        py: Python<'py>,
        path: &str,
        replace: bool,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        operations::export(py, self.0.get()?, path, replace, progress)
    }

    /// Makes a branch in a folder; `(bytes done, bytes in all, seconds)` go to `progress`.
    fn branch<'py>(
        &self,
        py: Python<'py>,
        path: &str,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        operations::branch(py, self.0.get()?, path, progress)
    }

    /// Closes the handle, and the database when it is the last one of this process.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.0.close())
    }
}

/// Plans `query`; `objects` are tables for this query alone.
pub(crate) fn sql(
    py: Python<'_>,
    database: &trilith::Database,
    query: String,
    params: &Bound<'_, PyAny>,
    objects: &Bound<'_, PyDict>,
) -> PyResult<Query> {
    let mut statement = Statement::new(database, query, params)?;
    for (name, object) in objects {
        statement = statement.with_table(&name.extract::<String>()?, provider(&object)?);
    }
    statement.query(py)
}

/// Names of all tables, sorted.
pub(crate) fn tables(py: Python<'_>, database: &trilith::Database) -> PyResult<Vec<String>> {
    let names = py.detach(|| snapshot(database))?;
    let mut names: Vec<String> = names.tables().iter().map(|table| table.name.to_string()).collect();
    names.sort();
    Ok(names)
}

/// The table of this name.
pub(crate) fn table(py: Python<'_>, database: &trilith::Database, name: &str) -> PyResult<Table> {
    let name = resolve(py, database, name)?;
    py.detach(|| snapshot(database))?.table(&name).map_err(from_engine)?;
    Ok(Table::new(database.clone(), name))
}

fn snapshot(database: &trilith::Database) -> PyResult<Snapshot> {
    database.snapshot().map_err(from_database)
}

/// `name` as it is, unless what stands before its first dot is a schema of the database.
fn resolve(py: Python<'_>, database: &trilith::Database, name: &str) -> PyResult<TableName> {
    let Some((schema, table)) = name.split_once('.') else { return Ok(TableName::public(name)) };
    match py.detach(|| snapshot(database))?.schemas().iter().any(|known| known == schema) {
        true => Ok(TableName::new(schema, table)),
        false => Ok(TableName::public(name)),
    }
}

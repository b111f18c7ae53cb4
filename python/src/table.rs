//! A table: the native half of `trilith.Table`.
//!
//! `get` is the hot path: positional, no Arrow object on the Python side, no planner. Everything with a
//! SQL text in it is a statement like any other.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};
use trilith::engine::{TableName, TableView, WriteMode};

use crate::arrow_schema::ArrowSchema;
use crate::error::{from_database, from_engine};
use crate::exported::exported_schema;
use crate::query::Query;
use crate::statement::{Clauses, Statement};
use crate::table_index::{self, IndexRequest};
use crate::table_key::{key_arrays, keys_arrays};
use crate::table_search::search;
use crate::table_write;
use crate::values::dict;
use crate::wait::wait;

/// One table of a database.
#[pyclass(frozen, module = "trilith._native")]
pub(crate) struct Table {
    database: trilith::Database,
    name: TableName,
}

/// What `scan` is asked for.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Scan {
    columns: Option<Vec<String>>,
    #[pyo3(item("where"))]
    condition: Option<String>,
    order_by: Vec<String>,
    limit: Option<usize>,
}

impl Table {
    /// The table of this name; it may come and go while the handle lives.
    pub(crate) fn new(database: trilith::Database, name: TableName) -> Self {
        Self { database, name }
    }

    fn view(&self) -> PyResult<TableView> {
        let snapshot = self.database.snapshot().map_err(from_database)?;
        snapshot.table(&self.name).map_err(from_engine)
    }

    fn statement(&self, text: String, params: &Bound<'_, PyAny>) -> PyResult<Statement> {
        Statement::new(&self.database, text, params)
    }
}

#[pymethods]
impl Table {
    /// The name, with its schema when that is not `public`.
    #[getter]
    fn name(&self) -> String {
        self.name.to_string()
    }

    /// Names and types of the columns.
    #[getter]
    fn schema(&self) -> PyResult<ArrowSchema> {
        Ok(ArrowSchema(exported_schema(&self.view()?.schema())))
    }

    /// Names of the key columns.
    #[getter]
    fn primary_key(&self) -> PyResult<Vec<String>> {
        let view = self.view()?;
        let schema = view.schema();
        Ok(view.def().key_columns().iter().map(|place| schema.field(*place).name().clone()).collect())
    }

    /// Return the row of this key as a dict, or None; a key of several columns is a tuple.
    #[pyo3(signature = (key, /))]
    fn get<'py>(&self, py: Python<'py>, key: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let view = self.view()?;
        let key = key_arrays(&view, key)?;
        let found = py.detach(|| view.get(&key, None)).map_err(from_engine)?;
        found.map(|row| dict(py, &row, 0)).transpose()
    }

    /// Return bytes of one value of the row of this key, or None: from `start` on, at most `length`, all for None.
    #[pyo3(signature = (key, column, start, length, /))]
    fn get_range<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
        column: &str,
        start: u64,
        length: Option<u64>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let view = self.view()?;
        let key = key_arrays(&view, key)?;
        let column = view.def().require_column(column).map_err(from_engine)?;
        let end = length.map_or(u64::MAX, |length| start.saturating_add(length));
        let found = py.detach(|| view.get_range(&key, column, start..end)).map_err(from_engine)?;
        Ok(found.map(|part| PyBytes::new(py, &part.bytes)))
    }

    /// Tell whether a row has this key.
    #[pyo3(signature = (key, /))]
    fn contains(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        let view = self.view()?;
        let key = key_arrays(&view, key)?;
        let found = py.detach(|| view.get(&key, Some(&[]))).map_err(from_engine)?;
        Ok(found.is_some())
    }

    /// The row of each key as a dict, or None.
    #[pyo3(signature = (keys, /))]
    fn get_many<'py>(&self, py: Python<'py>, keys: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
        let view = self.view()?;
        let keys = keys_arrays(&view, keys)?;
        let (rows, places) = py.detach(|| view.get_many(&keys, None)).map_err(from_engine)?;
        let list = PyList::empty(py);
        for place in places {
            match place {
                Some(place) => list.append(dict(py, &rows, place)?)?,
                None => list.append(py.None())?,
            }
        }
        Ok(list)
    }

    /// Adds rows; a key that is there already is an error.
    fn append(&self, py: Python<'_>, data: &Bound<'_, PyAny>, progress: Option<Py<PyAny>>) -> PyResult<u64> {
        table_write::write(py, &self.database, &self.name, WriteMode::Insert, data, progress)
    }

    /// Adds rows, replacing those with the same key.
    fn upsert(&self, py: Python<'_>, data: &Bound<'_, PyAny>, progress: Option<Py<PyAny>>) -> PyResult<u64> {
        table_write::write(py, &self.database, &self.name, WriteMode::Upsert, data, progress)
    }

    /// Deletes the rows for which `condition` holds.
    fn delete(&self, py: Python<'_>, condition: &str, params: &Bound<'_, PyAny>) -> PyResult<u64> {
        let clauses = Clauses { condition: Some(condition), ..Clauses::default() };
        self.statement(clauses.delete(&self.name)?, params)?.number(py)
    }

    /// Number of rows, or of those for which `condition` holds.
    fn count(&self, py: Python<'_>, condition: Option<&str>, params: &Bound<'_, PyAny>) -> PyResult<u64> {
        let Some(condition) = condition else {
            let view = self.view()?;
            return py.detach(|| view.row_count()).map_err(from_engine);
        };
        let clauses = Clauses { condition: Some(condition), ..Clauses::default() };
        self.statement(clauses.select("count(*)", &self.name)?, params)?.number(py)
    }

    /// Its row of `trilith.stats`.
    fn stats(&self, py: Python<'_>) -> PyResult<Query> {
        self.view()?;
        let text = "SELECT * FROM trilith.stats WHERE schema_name = $1 AND table_name = $2".to_owned();
        let params = PyList::new(py, [&self.name.schema, &self.name.table])?;
        self.statement(text, &params)?.query(py)
    }

    /// Its rows of `trilith.indexes`.
    fn indexes(&self, py: Python<'_>) -> PyResult<Query> {
        self.view()?;
        let text = "SELECT * FROM trilith.indexes WHERE schema_name = $1 AND table_name = $2".to_owned();
        let params = PyList::new(py, [&self.name.schema, &self.name.table])?;
        self.statement(text, &params)?.query(py)
    }

    /// Names an index of a column and makes it.
    fn create_index(&self, py: Python<'_>, request: IndexRequest) -> PyResult<()> {
        table_index::create(py, &self.database, &self.name, request)
    }

    /// Drops an index of the table's schema.
    fn drop_index(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        table_index::drop(py, &self.database, &self.name, name)
    }

    /// A query over the table.
    fn scan(&self, py: Python<'_>, request: Scan, params: &Bound<'_, PyAny>) -> PyResult<Query> {
        let shown = Clauses::columns(request.columns.as_deref());
        let clauses = Clauses {
            condition: request.condition.as_deref(),
            order_by: request.order_by,
            limit: request.limit,
        };
        self.statement(clauses.select(&shown, &self.name)?, params)?.query(py)
    }

    /// What the versions `first` to `last` did to the table; up to the newest when `last` is None.
    fn changes(&self, py: Python<'_>, first: u64, last: Option<u64>) -> PyResult<Query> {
        let last = last.map_or_else(|| self.version(py), Ok)?;
        let params = PyList::new(py, [self.name.to_string()])?;
        self.statement(format!("SELECT * FROM table_changes($1, {first}, {last})"), &params)?.query(py)
    }

    /// What happened to the row of a key.
    fn history(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<Query> {
        let params = PyList::new(py, [self.name.to_string()])?;
        match key.cast::<PyTuple>() {
            Ok(parts) => parts.iter().try_for_each(|part| params.append(part))?,
            Err(_) => params.append(key)?,
        }
        let places: Vec<String> = (1..=params.len()).map(|place| format!("${place}")).collect();
        self.statement(format!("SELECT * FROM table_history({})", places.join(", ")), &params)?.query(py)
    }

    /// The number of the newest version of the database.
    fn version(&self, py: Python<'_>) -> PyResult<u64> {
        py.detach(|| self.database.version()).map_err(from_database)
    }

    /// The rows that a search function finds, with arguments by name.
    fn search(
        &self,
        py: Python<'_>,
        function: &str,
        arguments: &Bound<'_, PyDict>,
        columns: Option<Vec<String>>,
        condition: Option<&str>,
    ) -> PyResult<Query> {
        let search = search(&self.name, function, arguments, (columns, condition))?;
        let database = self.database.clone();
        let answer = match database.search_at_once(&search).map_err(from_database)? {
            Some(answer) => answer,
            None => {
                wait(
                    py,
                    &self.database,
                    async move { database.search(&search).await.map_err(from_database) },
                )?
            }
        };
        Ok(Query::new(self.database.clone(), answer))
    }
}

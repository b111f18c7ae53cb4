//! New tables: from a schema, from SQL types, or from data.
//!
//! A table made from data appears with all its rows or not at all; a replaced one stays until the new
//! one is complete.

use std::collections::HashMap;

use arrow::datatypes::{Schema, SchemaRef};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use pyo3_arrow::PySchema;
use trilith::engine::{AlterTable, Engine, IfExists, OptionTexts, TableName, TableSpec, WriteMode};
use trilith::passing_name;

use crate::error::{from_database, from_engine, invalid, renamed};
use crate::ingest::{Source, source, table_schema};
use crate::statement::{Statement, check_fragment, quote, quote_table};
use crate::table_write::append;

/// What to create.
pub(crate) struct NewTable {
    /// Its name.
    pub(crate) name: TableName,
    /// Its key columns.
    pub(crate) primary_key: Vec<String>,
    /// What to do when it is there already.
    pub(crate) exists: IfExists,
    /// Its options by name.
    pub(crate) options: OptionTexts,
}

/// Creates the table from `data`: rows, an Arrow schema, or a dict of SQL types.
pub(crate) fn create(
    py: Python<'_>,
    database: &trilith::Database,
    table: NewTable,
    data: &Bound<'_, PyAny>,
    progress: Option<Py<PyAny>>,
) -> PyResult<()> {
    database.check_definable("create_table").map_err(from_database)?;
    let there = py.detach(|| database.engine().snapshot()).map_err(from_engine)?.table(&table.name).is_ok();
    if there && table.exists == IfExists::Keep {
        return Ok(());
    }
    if let Some(types) = sql_types(data)? {
        return from_sql_types(py, database, &table, &types);
    }
    if let Some(schema) = bare_schema(data)? {
        let spec = table.spec(&schema);
        return py
            .detach(|| database.engine().create_table(&spec, table.exists))
            .map(drop)
            .map_err(from_engine);
    }
    if there && table.exists == IfExists::Fail {
        let spec = table.spec(&Schema::empty());
        return py
            .detach(|| database.engine().create_table(&spec, IfExists::Fail))
            .map(drop)
            .map_err(from_engine);
    }
    from_rows(py, database.engine(), &table, source(data, None)?, progress)
}

impl NewTable {
    fn spec(&self, schema: &Schema) -> TableSpec {
        TableSpec {
            name: self.name.clone(),
            schema: table_schema(schema, &self.primary_key),
            primary_key: self.primary_key.clone(),
            defaults: HashMap::new(),
            options: self.options.clone(),
            indexes: vec![],
        }
    }
}

/// Column names and SQL types, when `data` is a dict of those.
fn sql_types(data: &Bound<'_, PyAny>) -> PyResult<Option<Vec<(String, String)>>> {
    let Ok(dict) = data.cast::<PyDict>() else { return Ok(None) };
    if dict.is_empty() || !dict.values().iter().all(|value| value.is_instance_of::<PyString>()) {
        return Ok(None);
    }
    dict.items().extract().map(Some)
}

/// The schema, when `data` is one and nothing more.
fn bare_schema(data: &Bound<'_, PyAny>) -> PyResult<Option<SchemaRef>> {
    let holds_rows = data.hasattr("__arrow_c_stream__")? || data.hasattr("__arrow_c_array__")?;
    match !holds_rows && data.hasattr("__arrow_c_schema__")? {
        true => Ok(Some(data.extract::<PySchema>()?.into_inner())),
        false => Ok(None),
    }
}

fn from_sql_types(
    py: Python<'_>,
    database: &trilith::Database,
    table: &NewTable,
    types: &[(String, String)],
) -> PyResult<()> {
    let (replace, keep) = match table.exists {
        IfExists::Fail => ("", ""),
        IfExists::Keep => ("", " IF NOT EXISTS"),
        IfExists::Replace => (" OR REPLACE", ""),
    };
    let column = |(name, kind): &(String, String)| {
        check_fragment(&format!("type of column {name:?}"), kind)?;
        Ok(format!("{} {kind}", quote(name)))
    };
    let mut parts = types.iter().map(column).collect::<PyResult<Vec<String>>>()?;
    if !table.primary_key.is_empty() {
        let key: Vec<String> = table.primary_key.iter().map(|name| quote(name)).collect();
        parts.push(format!("PRIMARY KEY ({})", key.join(", ")));
    }
    let name = quote_table(&table.name);
    let option =
        |(name, value): (&String, &String)| format!("{} = '{}'", quote(name), value.replace('\'', "''"));
    let options: Vec<String> = table.options.iter().map(option).collect();
    let with = if options.is_empty() { String::new() } else { format!(" WITH ({})", options.join(", ")) };
    let text = format!("CREATE{replace} TABLE{keep} {name} ({}){with}", parts.join(", "));
    Statement::new(database, text, py.None().bind(py))?.query(py).map(drop)
}

/// Builds the table aside and moves it to its name when it is complete.
fn from_rows(
    py: Python<'_>,
    engine: &Engine,
    table: &NewTable,
    rows: Source,
    progress: Option<Py<PyAny>>,
) -> PyResult<()> {
    if rows.schema.fields().is_empty() {
        return Err(invalid(format!("table {}: the data has no columns", table.name)));
    }
    table.name.validate().map_err(from_engine)?;
    let aside = passing_name(&table.name);
    let mut spec = table.spec(&rows.schema);
    spec.name = aside.clone();
    let created = py.detach(|| engine.create_table(&spec, IfExists::Fail)).map_err(from_engine);
    created.map_err(|error| renamed(error, &aside.table, &table.name.table))?;
    let filled = fill(py, engine, &aside, rows, progress);
    let moved = filled.and_then(|()| py.detach(|| publish(engine, &aside, table)));
    if moved.is_err() {
        // The error that stopped the work is the one to report.
        let _left_behind = py.detach(|| engine.drop_table(&aside));
    }
    moved.map_err(|error| renamed(error, &aside.table, &table.name.table))
}

fn fill(
    py: Python<'_>,
    engine: &Engine,
    name: &TableName,
    rows: Source,
    progress: Option<Py<PyAny>>,
) -> PyResult<()> {
    let appender = py.detach(|| engine.appender(name, WriteMode::Insert)).map_err(from_engine)?;
    append(py, appender, rows, progress).map(drop)
}

fn publish(engine: &Engine, aside: &TableName, table: &NewTable) -> PyResult<()> {
    let naming = match table.exists {
        IfExists::Replace => AlterTable::ReplaceTable { other: table.name.clone() },
        _ => AlterTable::RenameTable { to: table.name.clone() },
    };
    engine.alter_table(aside, &naming).map(drop).map_err(from_engine)
}

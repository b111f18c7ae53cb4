//! Rows of any source into a table, as one commit.

use pyo3::prelude::*;
use trilith::engine::{Appender, ColumnDef, TableDef, TableName, WriteMode};

use crate::error::{from_database, from_engine};
use crate::ingest::{Source, for_table, source};
use crate::local_object::once;
use crate::progress::Progress;
use crate::statement::{Statement, quote};

/// Writes `data` to the table and returns the number of rows. An error or Ctrl-C leaves the table as it was.
pub(crate) fn write(
    py: Python<'_>,
    database: &trilith::Database,
    name: &TableName,
    mode: WriteMode,
    data: &Bound<'_, PyAny>,
    progress: Option<Py<PyAny>>,
) -> PyResult<u64> {
    let appender = py.detach(|| database.appender(name, mode)).map_err(from_database)?;
    let schema = appender.def().schema();
    let source = with_defaults(py, database, appender.def(), source(data, Some(&schema))?)?;
    append(py, appender, source, progress)
}

/// `rows` with the columns that are missing and have a default, computed for each row as SQL does.
fn with_defaults(
    py: Python<'_>,
    database: &trilith::Database,
    table: &TableDef,
    rows: Source,
) -> PyResult<Source> {
    let missing = |column: &&ColumnDef| rows.schema.fields().find(column.field.name()).is_none();
    let defaults = table.columns.iter().filter(missing).filter_map(|column| {
        let value = column.default.as_ref()?;
        Some(format!(", ({value}) AS {}", quote(column.field.name())))
    });
    let defaults: String = defaults.collect();
    if defaults.is_empty() {
        return Ok(rows);
    }
    let count = rows.rows;
    let text = format!("SELECT *{defaults} FROM given_rows");
    let statement = Statement::new(database, text, py.None().bind(py))?.with_table("given_rows", once(rows)?);
    Ok(Source { rows: count, ..source(Bound::new(py, statement.query(py)?)?.as_any(), None)? })
}

/// Feeds `source` to `appender` and commits.
pub(crate) fn append(
    py: Python<'_>,
    mut appender: Appender,
    source: Source,
    progress: Option<Py<PyAny>>,
) -> PyResult<u64> {
    let mut progress = Progress::new(progress, source.rows);
    let schema = appender.def().schema();
    let mut batches = source.batches;
    // Reading may run a query or another library's code, which may need the GIL elsewhere.
    while let Some(batch) = py.detach(|| batches.next()) {
        let batch = for_table(&batch?, &schema)?;
        py.detach(|| appender.write(&batch)).map_err(from_engine)?;
        py.check_signals()?;
        progress.advance(py, batch.num_rows() as u64)?;
    }
    let rows = py.detach(|| appender.finish()).map_err(from_engine)?;
    progress.finish(py)?;
    Ok(rows)
}

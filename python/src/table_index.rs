//! Indexes of a table, asked for from Python.

use pyo3::prelude::*;
use trilith::engine::{IndexSpec, OptionTexts, TableName};

use crate::error::{from_database, from_engine};
use crate::wait::wait;

/// What `create_index` is asked for.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct IndexRequest {
    name: Option<String>,
    column: String,
    kind: String,
    class: Option<String>,
    options: OptionTexts,
}

impl From<IndexRequest> for IndexSpec {
    fn from(request: IndexRequest) -> Self {
        let IndexRequest { name, column, kind, class, options } = request;
        Self { name, column, kind, class, options }
    }
}

/// Names an index and makes it.
pub(crate) fn create(
    py: Python<'_>,
    database: &trilith::Database,
    table: &TableName,
    request: IndexRequest,
) -> PyResult<()> {
    let table = trilith::Table::named(database, table.clone()).map_err(from_database)?;
    wait(py, database, async move { table.create_index(request.into()).await.map_err(from_database) })
}

/// Drops an index of the table's schema.
pub(crate) fn drop(
    py: Python<'_>,
    database: &trilith::Database,
    table: &TableName,
    name: &str,
) -> PyResult<()> {
    database.check_definable("drop_index").map_err(from_database)?;
    let engine = database.engine();
    py.detach(|| engine.drop_index(&table.schema, name)).map_err(from_engine)
}

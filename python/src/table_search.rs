//! Searches of a table: the arguments of `vector_search` and its kin as Python gives them.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyInt, PyString};
use trilith::Search;
use trilith::engine::TableName;

use crate::error::from_database;
use crate::params::{scalar, vector_object};
use crate::statement::quote_table;

/// The search of `table` by `function`; an argument that is None has its default.
pub(crate) fn search(
    table: &TableName,
    function: &str,
    arguments: &Bound<'_, PyDict>,
    (columns, condition): (Option<Vec<String>>, Option<&str>),
) -> PyResult<Search> {
    // A name in the first schema is found as it is, and reads better in messages.
    let table =
        if *table == TableName::public(&table.table) { table.table.clone() } else { quote_table(table) };
    let mut search = Search::new(function).map_err(from_database)?.argument("table", table);
    for (name, value) in arguments {
        if !value.is_none() {
            let name: String = name.extract()?;
            let plain = value.is_instance_of::<PyString>()
                || value.is_instance_of::<PyInt>()
                || value.is_instance_of::<PyFloat>()
                || value.get_item(0).is_ok_and(|first| first.is_instance_of::<PyString>());
            let value = if plain { scalar(&name, &value)? } else { scalar(&name, &vector_object(&value)?)? };
            search = search.argument(&name, value);
        }
    }
    if let Some(columns) = columns {
        search = search.columns(columns);
    }
    Ok(match condition {
        Some(condition) => search.filter(condition),
        None => search,
    })
}

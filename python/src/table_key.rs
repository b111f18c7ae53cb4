//! Keys of a table, from Python values to the arrays that the engine looks up.

use arrow::array::{Array, ArrayRef};
use arrow::compute::cast;
use arrow::datatypes::{Field, FieldRef};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use trilith::engine::TableView;

use crate::error::{from_arrow, invalid};
use crate::ingest::column::column;
use crate::values::build;

/// One array of length one per key column.
pub(crate) fn key_arrays(view: &TableView, key: &Bound<'_, PyAny>) -> PyResult<Vec<ArrayRef>> {
    let fields = key_fields(view)?;
    if let [field] = fields.as_slice() {
        return Ok(vec![build(field, std::slice::from_ref(key))?]);
    }
    let parts = parts(&fields, key)?;
    fields.iter().zip(&parts).map(|(field, part)| build(field, std::slice::from_ref(part))).collect()
}

/// One array per key column, of one value per key.
pub(crate) fn keys_arrays(view: &TableView, keys: &Bound<'_, PyAny>) -> PyResult<Vec<ArrayRef>> {
    let fields = key_fields(view)?;
    if let [field] = fields.as_slice() {
        let (_, array) = column(field.name(), keys, Some(field))?;
        return Ok(vec![match array.data_type() == field.data_type() {
            true => array,
            false => cast(&array, field.data_type()).map_err(from_arrow)?,
        }]);
    }
    let rows = keys.try_iter()?.map(|key| parts(&fields, &key?)).collect::<PyResult<Vec<_>>>()?;
    let one = |(place, field): (usize, &FieldRef)| {
        let values: Vec<_> = rows.iter().map(|row| row[place].clone()).collect();
        build(field, &values)
    };
    fields.iter().enumerate().map(one).collect()
}

/// The key columns, in key order.
fn key_fields(view: &TableView) -> PyResult<Vec<FieldRef>> {
    let def = view.def();
    if !def.is_keyed() {
        return Err(invalid(format!(
            "table {} has no primary key to look up; use scan(where=...), or create it with primary_key=",
            def.name
        )));
    }
    let schema = view.schema();
    Ok(def.key_columns().iter().map(|place| schema.fields()[*place].clone()).collect())
}

fn parts<'py>(fields: &[FieldRef], key: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let parts = key.cast::<PyTuple>().map(|parts| parts.iter().collect::<Vec<_>>()).unwrap_or_default();
    if parts.len() != fields.len() {
        let names: Vec<&str> = fields.iter().map(|field: &FieldRef| Field::name(field).as_str()).collect();
        return Err(invalid(format!("the key of this table is a tuple ({})", names.join(", "))));
    }
    Ok(parts)
}

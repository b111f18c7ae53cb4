//! Lists, structs and maps to Python lists and dicts.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

use super::read::{Values, values};
use crate::error::{from_arrow, invalid};

fn dicts<'py>(py: Python<'py>, fields: &Fields, array: &ArrayRef) -> PyResult<Values<'py>> {
    let columns = array.as_struct().columns();
    let mut parts = Vec::with_capacity(columns.len());
    for (field, column) in fields.iter().zip(columns) {
        parts.push((PyString::intern(py, field.name()), values(py, field, column)?));
    }
    let row = |row: usize| -> PyResult<Bound<'py, PyAny>> {
        if array.is_null(row) {
            return Ok(py.None().into_bound(py));
        }
        let dict = PyDict::new(py);
        for (name, part) in &parts {
            dict.set_item(name, &part[row])?;
        }
        Ok(dict.into_any())
    };
    (0..array.len()).map(row).collect()
}

fn lists<'py>(
    py: Python<'py>,
    array: &ArrayRef,
    item: &Field,
    list: impl Fn(usize) -> ArrayRef,
) -> PyResult<Values<'py>> {
    (0..array.len())
        .map(|row| match array.is_null(row) {
            true => Ok(py.None().into_bound(py)),
            false => Ok(PyList::new(py, values(py, item, &list(row))?)?.into_any()),
        })
        .collect()
}

fn maps<'py>(py: Python<'py>, array: &ArrayRef) -> PyResult<Values<'py>> {
    let map = array.as_map();
    let (key_field, value_field) = map.entries_fields();
    let row = |row: usize| -> PyResult<Bound<'py, PyAny>> {
        if map.is_null(row) {
            return Ok(py.None().into_bound(py));
        }
        let entries = map.value(row);
        let keys = values(py, key_field, entries.column(0))?;
        let dict = PyDict::new(py);
        for (key, value) in keys.into_iter().zip(values(py, value_field, entries.column(1))?) {
            dict.set_item(key, value)?;
        }
        Ok(dict.into_any())
    };
    (0..map.len()).map(row).collect()
}

/// The values of a list, struct or map column.
pub(super) fn nested<'py>(py: Python<'py>, array: &ArrayRef) -> PyResult<Values<'py>> {
    match array.data_type() {
        DataType::Struct(fields) => dicts(py, fields, array),
        DataType::List(item) => lists(py, array, item, |row| array.as_list::<i32>().value(row)),
        DataType::LargeList(item) => lists(py, array, item, |row| array.as_list::<i64>().value(row)),
        DataType::FixedSizeList(item, _) => {
            lists(py, array, item, |row| array.as_fixed_size_list().value(row))
        }
        DataType::ListView(item) | DataType::LargeListView(item) => {
            let plain = cast(array, &DataType::LargeList(item.clone())).map_err(from_arrow)?;
            nested(py, &plain)
        }
        DataType::Map(_, _) => maps(py, array),
        other => {
            Err(invalid(format!("values of type {other} have no form in Python; cast them in the query")))
        }
    }
}

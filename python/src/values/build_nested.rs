//! Python lists and dicts to Arrow lists, vectors and structs.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, FixedSizeListArray, GenericListArray, LargeListArray, ListArray, OffsetSizeTrait, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use trilith::engine::SPARSE_KEY;

use super::build::{build as build_any, is_missing};
use super::build_sparse;
use crate::error::{from_arrow, invalid};
use crate::ingest::column;

/// An array of the field's list, vector or struct type.
pub(super) fn build(field: &Field, objects: &[Bound<'_, PyAny>]) -> PyResult<ArrayRef> {
    match field.data_type() {
        DataType::List(item) => {
            list::<i32>(field, item, objects).map(|array: ListArray| Arc::new(array) as _)
        }
        DataType::LargeList(item) => {
            list::<i64>(field, item, objects).map(|array: LargeListArray| Arc::new(array) as _)
        }
        DataType::FixedSizeList(item, width) => vectors(field, item, *width, objects),
        DataType::Struct(fields) if field.metadata().contains_key(SPARSE_KEY) => {
            build_sparse::build(field, fields, objects)
        }
        DataType::Struct(fields) => structs(field, fields, objects),
        other => Err(invalid(format!(
            "column {:?}: values of type {other} cannot be made from Python objects; pass Arrow data",
            field.name()
        ))),
    }
}

fn list<O: OffsetSizeTrait>(
    field: &Field,
    item: &FieldRef,
    objects: &[Bound<'_, PyAny>],
) -> PyResult<GenericListArray<O>> {
    if let DataType::FixedSizeList(..) = item.data_type()
        && objects.iter().any(is_matrix)
    {
        return matrices(field, item, objects);
    }
    let mut items = Vec::new();
    let mut lengths = Vec::with_capacity(objects.len());
    for (row, object) in objects.iter().enumerate() {
        let before = items.len();
        if !is_missing(object)? {
            items.extend(elements(field, row, object)?);
        }
        lengths.push(items.len() - before);
    }
    let offsets = OffsetBuffer::from_lengths(lengths);
    GenericListArray::try_new(item.clone(), offsets, build_any(item, &items)?, nulls(objects)?)
        .map_err(from_arrow)
}

/// Whether an object is an array of two dimensions.
fn is_matrix(object: &Bound<'_, PyAny>) -> bool {
    object.getattr("ndim").and_then(|ndim| ndim.extract::<usize>()).is_ok_and(|ndim| ndim == 2)
}

/// Lists of vectors, each an array of two dimensions or a list; an array's memory is taken as it is.
fn matrices<O: OffsetSizeTrait>(
    field: &Field,
    item: &FieldRef,
    objects: &[Bound<'_, PyAny>],
) -> PyResult<GenericListArray<O>> {
    let mut parts = Vec::with_capacity(objects.len());
    for (row, object) in objects.iter().enumerate() {
        let part = match (is_missing(object)?, is_matrix(object)) {
            (true, _) => arrow::array::new_empty_array(item.data_type()),
            (_, true) => column::elements(item, object)
                .map_err(|why| invalid(format!("column {:?}, row {row}: {}", field.name(), message(&why))))?,
            (_, false) => build_any(item, &elements(field, row, object)?)?,
        };
        parts.push(part);
    }
    let offsets = OffsetBuffer::from_lengths(parts.iter().map(|part| part.len()));
    let parts: Vec<_> = parts.iter().map(AsRef::as_ref).collect();
    let values = match parts.is_empty() {
        true => arrow::array::new_empty_array(item.data_type()),
        false => arrow::compute::concat(&parts).map_err(from_arrow)?,
    };
    GenericListArray::try_new(item.clone(), offsets, values, nulls(objects)?).map_err(from_arrow)
}

fn vectors(field: &Field, item: &FieldRef, width: i32, objects: &[Bound<'_, PyAny>]) -> PyResult<ArrayRef> {
    let mut parts = Vec::with_capacity(objects.len());
    for (row, object) in objects.iter().enumerate() {
        let part = match is_missing(object)? {
            true => arrow::array::new_null_array(item.data_type(), width as usize),
            false => column::elements(item, object)
                .map_err(|why| invalid(format!("column {:?}, row {row}: {}", field.name(), message(&why))))?,
        };
        if part.len() != width as usize {
            return Err(invalid(format!(
                "column {:?}, row {row}: a vector of {} elements does not fit a column of {width}",
                field.name(),
                part.len()
            )));
        }
        parts.push(part);
    }
    let parts: Vec<_> = parts.iter().map(AsRef::as_ref).collect();
    let values = match parts.is_empty() {
        true => arrow::array::new_empty_array(item.data_type()),
        false => arrow::compute::concat(&parts).map_err(from_arrow)?,
    };
    let array = FixedSizeListArray::try_new(item.clone(), width, values, nulls(objects)?);
    Ok(Arc::new(array.map_err(from_arrow)?))
}

fn structs(field: &Field, fields: &Fields, objects: &[Bound<'_, PyAny>]) -> PyResult<ArrayRef> {
    let mut columns = Vec::with_capacity(fields.len());
    for inner in fields {
        columns.push(build_any(inner, &members(field, inner.name(), objects)?)?);
    }
    let array = StructArray::try_new_with_length(fields.clone(), columns, nulls(objects)?, objects.len());
    Ok(Arc::new(array.map_err(from_arrow)?))
}

fn members<'py>(
    field: &Field,
    name: &str,
    objects: &[Bound<'py, PyAny>],
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    objects.iter().enumerate().map(|(row, object)| member(field, row, object, name)).collect()
}

fn member<'py>(
    field: &Field,
    row: usize,
    object: &Bound<'py, PyAny>,
    name: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let none = || object.py().None().into_bound(object.py());
    if is_missing(object)? {
        return Ok(none());
    }
    let Ok(dict) = object.cast::<PyDict>() else {
        return Err(invalid(format!("column {:?}, row {row}: a dict is needed", field.name())));
    };
    Ok(dict.get_item(name)?.unwrap_or_else(none))
}

/// The items of a list, tuple or array.
fn elements<'py>(field: &Field, row: usize, object: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    if let Ok(list) = object.cast::<PyList>() {
        return Ok(list.iter().collect());
    }
    let sequence = match object.hasattr("tolist")? {
        true => object.call_method0("tolist")?,
        false => object.clone(),
    };
    sequence
        .extract::<Vec<Bound<'py, PyAny>>>()
        .map_err(|_| invalid(format!("column {:?}, row {row}: a list is needed", field.name())))
}

fn nulls(objects: &[Bound<'_, PyAny>]) -> PyResult<Option<NullBuffer>> {
    let valid = objects.iter().map(|object| Ok(!is_missing(object)?)).collect::<PyResult<Vec<bool>>>()?;
    Ok(Some(NullBuffer::from(valid)).filter(|nulls| nulls.null_count() > 0))
}

fn message(error: &PyErr) -> String {
    Python::attach(|py| error.value(py).to_string())
}

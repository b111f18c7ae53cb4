//! Variant columns to Python objects and to JSON text.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::Field;
use arrow::error::ArrowError;
use parquet_variant::Variant;
use parquet_variant_compute::VariantArray;
use parquet_variant_json::VariantToJson;
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};
use trilith::document::Value;
use trilith::types::is_variant;

use super::read::Values;
use crate::error::from_arrow;

/// The columns of `batch`, those of Variant values as JSON text.
pub(crate) fn to_json_columns(batch: &RecordBatch) -> Result<Vec<ArrayRef>, ArrowError> {
    let columns = batch.schema_ref().fields().iter().zip(batch.columns());
    let readable = |(field, array): (&Arc<Field>, &ArrayRef)| match is_variant(field) {
        true => json_texts(array),
        false => Ok(array.clone()),
    };
    columns.map(readable).collect()
}

fn json_texts(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let variants = VariantArray::try_new(array.as_ref())?;
    let text = |row: usize| match variants.is_null(row) {
        true => Ok(None),
        false => variants.try_value(row)?.to_json_string().map(Some),
    };
    let texts = (0..array.len()).map(text).collect::<Result<Vec<_>, ArrowError>>()?;
    Ok(Arc::new(StringArray::from(texts)))
}

/// The values of a Variant column as Python objects.
pub(super) fn values<'py>(py: Python<'py>, array: &ArrayRef) -> PyResult<Values<'py>> {
    let variants = VariantArray::try_new(array.as_ref()).map_err(from_arrow)?;
    let value = |row: usize| match variants.is_null(row) {
        true => Ok(py.None().into_bound(py)),
        false => object(py, &variants.try_value(row).map_err(from_arrow)?),
    };
    (0..array.len()).map(value).collect()
}

/// A document value as a Python object.
pub(crate) fn document_object<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    match value {
        Value::Null => Ok(py.None().into_bound(py)),
        Value::Bool(flag) => flag.into_bound_py_any(py),
        Value::Text(text) => text.into_bound_py_any(py),
        Value::Bytes(bytes) => Ok(PyBytes::new(py, bytes).into_any()),
        Value::Scalar(scalar) => object(py, scalar),
        Value::List(items) => {
            let objects = items.iter().map(|item| document_object(py, item)).collect::<PyResult<Vec<_>>>()?;
            Ok(PyList::new(py, objects)?.into_any())
        }
        Value::Object(fields) => {
            let dict = PyDict::new(py);
            for (name, field) in fields {
                dict.set_item(name, document_object(py, field)?)?;
            }
            Ok(dict.into_any())
        }
    }
}

fn object<'py>(py: Python<'py>, value: &Variant<'_, '_>) -> PyResult<Bound<'py, PyAny>> {
    match value {
        Variant::Null => Ok(py.None().into_bound(py)),
        Variant::BooleanTrue => true.into_bound_py_any(py),
        Variant::BooleanFalse => false.into_bound_py_any(py),
        Variant::Int8(number) => number.into_bound_py_any(py),
        Variant::Int16(number) => number.into_bound_py_any(py),
        Variant::Int32(number) => number.into_bound_py_any(py),
        Variant::Int64(number) => number.into_bound_py_any(py),
        Variant::Float(number) => number.into_bound_py_any(py),
        Variant::Double(number) => number.into_bound_py_any(py),
        Variant::Decimal4(number) => decimal(py, number.to_string()),
        Variant::Decimal8(number) => decimal(py, number.to_string()),
        Variant::Decimal16(number) => decimal(py, number.to_string()),
        Variant::Date(date) => date.into_bound_py_any(py),
        Variant::Time(time) => time.into_bound_py_any(py),
        Variant::TimestampMicros(time) | Variant::TimestampNanos(time) => time.into_bound_py_any(py),
        Variant::TimestampNtzMicros(time) | Variant::TimestampNtzNanos(time) => time.into_bound_py_any(py),
        Variant::Binary(bytes) => Ok(PyBytes::new(py, bytes).into_any()),
        Variant::String(text) => text.into_bound_py_any(py),
        Variant::ShortString(text) => text.as_str().into_bound_py_any(py),
        Variant::Uuid(id) => py.import("uuid")?.getattr("UUID")?.call1((id.to_string(),)),
        Variant::Object(fields) => {
            let dict = PyDict::new(py);
            for (name, field) in fields.iter() {
                dict.set_item(PyString::intern(py, name), object(py, &field)?)?;
            }
            Ok(dict.into_any())
        }
        Variant::List(items) => {
            let objects = items.iter().map(|item| object(py, &item)).collect::<PyResult<Vec<_>>>()?;
            Ok(PyList::new(py, objects)?.into_any())
        }
    }
}

fn decimal(py: Python<'_>, text: String) -> PyResult<Bound<'_, PyAny>> {
    py.import("decimal")?.getattr("Decimal")?.call1((text,))
}

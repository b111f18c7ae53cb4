//! Arrow columns to Python objects.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::*;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};
use trilith::types::is_variant;

use super::{read_nested, read_temporal, variant};
use crate::error::from_arrow;

/// A Python object, or the null it stands for.
pub(super) type Values<'py> = Vec<Bound<'py, PyAny>>;

/// The values of a column as a Python list.
pub(crate) fn objects<'py>(py: Python<'py>, field: &Field, array: &ArrayRef) -> PyResult<Bound<'py, PyList>> {
    PyList::new(py, values(py, field, array)?)
}

/// The rows of `batches` as a list of tuples.
pub(crate) fn rows<'py>(py: Python<'py>, batches: &[RecordBatch]) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for batch in batches {
        let mut columns = Vec::with_capacity(batch.num_columns());
        for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            columns.push(values(py, field, array)?.into_iter());
        }
        for _ in 0..batch.num_rows() {
            let row: Values<'py> = columns.iter_mut().filter_map(Iterator::next).collect();
            list.append(PyTuple::new(py, row)?)?;
        }
    }
    Ok(list)
}

/// Row `row` of `batch` as a dict.
pub(crate) fn dict<'py>(py: Python<'py>, batch: &RecordBatch, row: usize) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        let value = values(py, field, &array.slice(row, 1))?.pop();
        dict.set_item(PyString::intern(py, field.name()), value)?;
    }
    Ok(dict)
}

/// The values of a column.
pub(super) fn values<'py>(py: Python<'py>, field: &Field, array: &ArrayRef) -> PyResult<Values<'py>> {
    if is_variant(field) {
        return variant::values(py, array);
    }
    match array.data_type() {
        DataType::Null => Ok(vec![py.None().into_bound(py); array.len()]),
        DataType::Boolean => each(py, array, |row| array.as_boolean().value(row)),
        kind if kind.is_integer() || kind.is_floating() => numbers(py, array),
        kind if kind.is_temporal() => read_temporal::values(py, array),
        DataType::Utf8 => each(py, array, |row| array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => each(py, array, |row| array.as_string::<i64>().value(row)),
        DataType::Utf8View => each(py, array, |row| array.as_string_view().value(row)),
        DataType::Binary => each(py, array, |row| PyBytes::new(py, array.as_binary::<i32>().value(row))),
        DataType::LargeBinary => each(py, array, |row| PyBytes::new(py, array.as_binary::<i64>().value(row))),
        DataType::BinaryView => each(py, array, |row| PyBytes::new(py, array.as_binary_view().value(row))),
        DataType::FixedSizeBinary(_) => {
            each(py, array, |row| PyBytes::new(py, array.as_fixed_size_binary().value(row)))
        }
        kind if kind.is_decimal() => decimals(py, array),
        DataType::Dictionary(_, inner) => {
            let plain = cast(array, inner).map_err(from_arrow)?;
            values(py, &field.clone().with_data_type(inner.as_ref().clone()), &plain)
        }
        kind if kind.is_nested() => read_nested::nested(py, array),
        _ => texts(py, array),
    }
}

/// `value(row)` for each row that is not null.
pub(super) fn each<'py, T: IntoPyObjectExt<'py>>(
    py: Python<'py>,
    array: &dyn Array,
    value: impl Fn(usize) -> T,
) -> PyResult<Values<'py>> {
    (0..array.len())
        .map(|row| match array.is_null(row) {
            true => Ok(py.None().into_bound(py)),
            false => value(row).into_bound_py_any(py),
        })
        .collect()
}

fn numbers<'py>(py: Python<'py>, array: &ArrayRef) -> PyResult<Values<'py>> {
    macro_rules! of {
        ($kind:ty) => {{
            let numbers = array.as_primitive::<$kind>();
            each(py, array, |row| numbers.value(row))
        }};
    }
    match array.data_type() {
        DataType::Int8 => of!(Int8Type),
        DataType::Int16 => of!(Int16Type),
        DataType::Int32 => of!(Int32Type),
        DataType::Int64 => of!(Int64Type),
        DataType::UInt8 => of!(UInt8Type),
        DataType::UInt16 => of!(UInt16Type),
        DataType::UInt32 => of!(UInt32Type),
        DataType::UInt64 => of!(UInt64Type),
        DataType::Float32 => of!(Float32Type),
        DataType::Float64 => of!(Float64Type),
        _ => {
            let wider = cast(array, &DataType::Float64).map_err(from_arrow)?;
            each(py, &wider, |row| wider.as_primitive::<Float64Type>().value(row))
        }
    }
}

fn decimals<'py>(py: Python<'py>, array: &ArrayRef) -> PyResult<Values<'py>> {
    let decimal = py.import("decimal")?.getattr("Decimal")?;
    let texts = texts(py, array)?;
    texts.into_iter().map(|text| if text.is_none() { Ok(text) } else { decimal.call1((text,)) }).collect()
}

/// Arrow's own text of values that Python has no type for, such as intervals.
fn texts<'py>(py: Python<'py>, array: &ArrayRef) -> PyResult<Values<'py>> {
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(array.as_ref(), &options).map_err(from_arrow)?;
    each(py, array, |row| formatter.value(row).to_string())
}

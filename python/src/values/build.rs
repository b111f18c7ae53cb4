//! Python objects to an Arrow array of a given type.
//!
//! `None`, and the missing-value marks of pandas, become null. A value that does not fit its column is
//! refused with the column, the row and both types; only decimals are rounded, to the column's scale.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, FixedSizeBinaryArray, NullArray, PrimitiveArray,
    StringArray,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::*;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyFloat, PyInt, PyString};

use trilith::types::is_variant;

use super::{build_nested, build_temporal, variant_build};
use crate::error::{from_arrow, invalid};

/// Refuses what does not fit instead of making it null.
pub(crate) const STRICT: CastOptions<'static> =
    CastOptions { safe: false, format_options: arrow::util::display::FormatOptions::new() };

/// An array of the field's type from one Python object per row.
pub(crate) fn build(field: &Field, objects: &[Bound<'_, PyAny>]) -> PyResult<ArrayRef> {
    if is_variant(field) {
        return variant_build::build(field, objects);
    }
    match field.data_type() {
        DataType::Null => nothing(field, objects),
        DataType::Boolean => {
            let values = present(field, objects, |object| object.extract::<bool>())?;
            Ok(Arc::new(BooleanArray::from(values)))
        }
        kind if kind.is_integer() || kind.is_floating() => numbers(field, objects),
        kind if kind.is_temporal() => build_temporal::build(field, objects),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let values = present(field, objects, text)?;
            into_type(Arc::new(StringArray::from_iter(values)), field)
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            let values = present(field, objects, bytes)?;
            into_type(Arc::new(BinaryArray::from_iter(values)), field)
        }
        DataType::FixedSizeBinary(width) => {
            let values = present(field, objects, bytes)?;
            let array = FixedSizeBinaryArray::try_from_sparse_iter_with_size(values.into_iter(), *width);
            Ok(Arc::new(array.map_err(from_arrow)?))
        }
        kind if kind.is_decimal() => {
            let texts = present(field, objects, digits)?;
            into_type(Arc::new(StringArray::from_iter(texts)), field)
        }
        DataType::Dictionary(_, value) => {
            let plain = build(&field.clone().with_data_type(value.as_ref().clone()), objects)?;
            into_type(plain, field)
        }
        _ => build_nested::build(field, objects),
    }
}

fn nothing(field: &Field, objects: &[Bound<'_, PyAny>]) -> PyResult<ArrayRef> {
    present(field, objects, |_| {
        Err::<(), _>(PyTypeError::new_err("only nulls were seen before; give a schema"))
    })?;
    Ok(Arc::new(NullArray::new(objects.len())))
}

/// `value` of each object that is not missing; a failure names the column and the row.
pub(super) fn present<'py, T>(
    field: &Field,
    objects: &[Bound<'py, PyAny>],
    value: impl Fn(&Bound<'py, PyAny>) -> PyResult<T>,
) -> PyResult<Vec<Option<T>>> {
    let one = |(row, object): (usize, &Bound<'py, PyAny>)| match is_missing(object)? {
        true => Ok(None),
        false => value(object).map(Some).map_err(|why| misfit(field, row, object, &why)),
    };
    objects.iter().enumerate().map(one).collect()
}

/// True for `None`, `pandas.NA` and `NaT`.
pub(super) fn is_missing(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    if object.is_none() {
        return Ok(true);
    }
    // Names of types are slow to compare, and nearly every value is one of these.
    if object.is_exact_instance_of::<PyString>()
        || object.is_exact_instance_of::<PyInt>()
        || object.is_exact_instance_of::<PyFloat>()
    {
        return Ok(false);
    }
    let name = object.get_type().name()?;
    Ok(name == "NAType" || name == "NaTType")
}

fn misfit(field: &Field, row: usize, object: &Bound<'_, PyAny>, why: &PyErr) -> PyErr {
    let kind = object.get_type().name().map_or_else(|_| "value".into(), |name| name.to_string());
    let why = Python::attach(|py| why.value(py).to_string());
    invalid(format!(
        "column {:?}, row {row}: a value of type {kind} does not fit {} ({why})",
        field.name(),
        field.data_type()
    ))
}

fn text(object: &Bound<'_, PyAny>) -> PyResult<String> {
    if object.is_instance_of::<PyString>() {
        return object.extract();
    }
    match object.get_type().name()? == "UUID" {
        true => object.str()?.extract(),
        false => object.cast::<PyString>()?.extract(),
    }
}

/// A number in plain decimal notation.
fn digits(object: &Bound<'_, PyAny>) -> PyResult<String> {
    match object.get_type().name()? == "Decimal" {
        true => object.call_method1("__format__", ("f",))?.extract(),
        false => object.str()?.extract(),
    }
}

fn bytes(object: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    if object.get_type().name()? == "UUID" {
        return object.getattr("bytes")?.extract();
    }
    match object.cast::<PyBytes>() {
        Ok(bytes) => Ok(bytes.as_bytes().to_vec()),
        Err(_) => pyo3::buffer::PyBuffer::<u8>::get(object)?.to_vec(object.py()),
    }
}

fn numbers(field: &Field, objects: &[Bound<'_, PyAny>]) -> PyResult<ArrayRef> {
    macro_rules! of {
        ($kind:ty) => {
            primitive::<$kind>(present(field, objects, |object| object.extract())?)
        };
    }
    Ok(match field.data_type() {
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
        _ => into_type(of!(Float32Type), field)?,
    })
}

fn primitive<T: ArrowPrimitiveType>(values: Vec<Option<T::Native>>) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::from_iter(values))
}

/// `array` cast to the field's type, or `Invalid` naming the column.
pub(super) fn into_type(array: ArrayRef, field: &Field) -> PyResult<ArrayRef> {
    if array.data_type() == field.data_type() {
        return Ok(array);
    }
    cast_with_options(&array, field.data_type(), &STRICT)
        .map_err(|why| invalid(format!("column {:?}: {why}", field.name())))
}

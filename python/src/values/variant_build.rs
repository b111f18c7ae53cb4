//! Python objects to Variant values: what a document column is made of.
//!
//! Dates, decimals, bytes and UUIDs keep their types. Text that Arrow marks as JSON is parsed instead.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::Field;
use chrono::{DateTime, NaiveDate, NaiveTime};
use parquet_variant::{ObjectFieldBuilder, Variant, VariantBuilderExt, VariantDecimal16};
use parquet_variant_compute::{VariantArray, VariantArrayBuilder};
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::*;
use trilith::document::Value;
use trilith::types::variant_field;

use super::build::is_missing;
use super::build_temporal::{instant, local};
use super::infer::NESTING_MAX;
use crate::error::{from_arrow, invalid};
use crate::ingest::stored;

/// A Variant column of one value per object; a missing object is a null row.
pub(super) fn build(field: &Field, objects: &[Bound<'_, PyAny>]) -> PyResult<ArrayRef> {
    let mut builder = VariantArrayBuilder::new(objects.len());
    for (row, object) in objects.iter().enumerate() {
        match is_missing(object)? {
            true => builder.append_null(),
            false => append(object, &mut builder, 0).map_err(|why| {
                let why = why.value(object.py()).to_string();
                invalid(format!("column {:?}, row {row}: {why}", field.name()))
            })?,
        }
    }
    stored(Arc::new(builder.build().into_inner()), field)
}

/// A Variant column of documents.
pub(crate) fn documents(objects: &[Bound<'_, PyAny>]) -> PyResult<ArrayRef> {
    if let Some(odd) = objects.iter().find(|object| !object.is_instance_of::<PyDict>()) {
        return Err(invalid(format!("a document is a dict, not a value of type {}", odd.get_type().name()?)));
    }
    build(&variant_field("document", true), objects)
}

/// A document, a filter or an update as a value.
pub(crate) fn to_value(object: &Bound<'_, PyAny>) -> PyResult<Value> {
    let column = documents(std::slice::from_ref(object))?;
    let values = VariantArray::try_new(column.as_ref()).map_err(from_arrow)?;
    Ok(Value::from_variant(&values.value(0)))
}

fn append(object: &Bound<'_, PyAny>, builder: &mut impl VariantBuilderExt, depth: usize) -> PyResult<()> {
    if depth > NESTING_MAX {
        return Err(PyValueError::new_err(format!("nested more than {NESTING_MAX} deep")));
    }
    if let Ok(dict) = object.cast::<PyDict>() {
        return append_object(dict, builder, depth);
    }
    if object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>() {
        return append_list(object, builder, depth);
    }
    if object.hasattr("dtype")? && object.hasattr("tolist")? {
        return append(&object.call_method0("tolist")?, builder, depth + 1);
    }
    append_scalar(object, builder)
}

fn append_object(
    dict: &Bound<'_, PyDict>,
    builder: &mut impl VariantBuilderExt,
    depth: usize,
) -> PyResult<()> {
    let mut object = builder.try_new_object().map_err(from_arrow)?;
    for (key, value) in dict {
        let key = key.extract::<String>().map_err(|_| PyTypeError::new_err("field names must be text"))?;
        append(&value, &mut ObjectFieldBuilder::new(&key, &mut object), depth + 1)?;
    }
    object.finish();
    Ok(())
}

fn append_list(items: &Bound<'_, PyAny>, builder: &mut impl VariantBuilderExt, depth: usize) -> PyResult<()> {
    let mut list = builder.try_new_list().map_err(from_arrow)?;
    for item in items.try_iter()? {
        append(&item?, &mut list, depth + 1)?;
    }
    list.finish();
    Ok(())
}

fn append_scalar(object: &Bound<'_, PyAny>, builder: &mut impl VariantBuilderExt) -> PyResult<()> {
    if object.is_none() {
        builder.append_value(Variant::Null);
    } else if let Ok(flag) = object.cast::<PyBool>() {
        builder.append_value(flag.is_true());
    } else if object.is_instance_of::<PyInt>() {
        append_integer(object, builder)?;
    } else if let Ok(number) = object.cast::<PyFloat>() {
        builder.append_value(number.value());
    } else if let Ok(text) = object.cast::<PyString>() {
        builder.append_value(text.extract::<String>()?.as_str());
    } else if let Ok(bytes) = object.cast::<PyBytes>() {
        builder.append_value(bytes.as_bytes());
    } else if object.is_instance_of::<PyDateTime>() {
        append_datetime(object, builder)?;
    } else if object.is_instance_of::<PyDate>() {
        builder.append_value(object.extract::<NaiveDate>()?);
    } else if object.is_instance_of::<PyTime>() {
        builder.append_value(object.extract::<NaiveTime>()?);
    } else {
        append_named(object, builder)?;
    }
    Ok(())
}

fn append_integer(object: &Bound<'_, PyAny>, builder: &mut impl VariantBuilderExt) -> PyResult<()> {
    match object.extract::<i64>() {
        Ok(number) => builder.append_value(number),
        Err(_) => {
            let wide = object.extract::<i128>().ok().and_then(|wide| VariantDecimal16::try_new(wide, 0).ok());
            let wide = wide.ok_or_else(|| PyOverflowError::new_err("an integer of more than 38 digits"))?;
            builder.append_value(wide);
        }
    }
    Ok(())
}

fn append_datetime(object: &Bound<'_, PyAny>, builder: &mut impl VariantBuilderExt) -> PyResult<()> {
    let aware = !object.getattr("tzinfo")?.is_none();
    let micros = if aware { instant(object)? } else { local(object)? };
    let time = DateTime::from_timestamp_micros(micros)
        .ok_or_else(|| PyValueError::new_err("the datetime is out of range"))?;
    match aware {
        true => builder.append_value(time),
        false => builder.append_value(time.naive_utc()),
    }
    Ok(())
}

/// Types that live in modules PyO3 does not know.
fn append_named(object: &Bound<'_, PyAny>, builder: &mut impl VariantBuilderExt) -> PyResult<()> {
    let kind = object.get_type().name()?.to_string();
    match kind.as_str() {
        "Decimal" => builder.append_value(decimal(object)?),
        "UUID" => {
            let text = object.str()?.extract::<String>()?;
            let id = text.parse().map_err(|_| PyValueError::new_err("not a UUID"))?;
            builder.append_value(Variant::Uuid(id));
        }
        "NAType" | "NaTType" => builder.append_value(Variant::Null),
        _ => {
            return Err(PyTypeError::new_err(format!("a value of type {kind} cannot be kept in a document")));
        }
    }
    Ok(())
}

fn decimal(object: &Bound<'_, PyAny>) -> PyResult<VariantDecimal16> {
    let exponent = object.call_method0("as_tuple")?.getattr("exponent")?.extract::<i32>();
    let exponent = exponent.map_err(|_| PyValueError::new_err(format!("{object} has no decimal digits")))?;
    let scale = u8::try_from(-exponent.min(0)).map_err(|_| PyOverflowError::new_err("too many decimals"))?;
    let whole = object.call_method1("scaleb", (scale,))?.call_method0("__int__")?.extract::<i128>()?;
    VariantDecimal16::try_new(whole, scale).map_err(from_arrow)
}

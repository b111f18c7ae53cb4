//! The Arrow type of Python objects, for data that comes without a schema.
//!
//! Whole numbers are Int64, others Float64; text, bytes, dates and times are what they are. A list of
//! equally long float32 arrays is a vector column, one of equally wide float32 matrices a column of lists of vectors. Dicts are structs of every key seen. A mixture that
//! has no common type is refused, and says in which rows.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};
use pyo3::prelude::*;
use pyo3::types::*;

use super::build::is_missing;
use crate::error::invalid;
use crate::ingest::{vector_field, vector_list_field};

/// Deepest nesting of lists and dicts that is looked into.
pub(crate) const NESTING_MAX: usize = 64;

/// A field that holds all of `objects`.
pub(crate) fn infer(name: &str, objects: &[Bound<'_, PyAny>]) -> PyResult<Field> {
    let mut found: Option<Field> = None;
    for (row, object) in objects.iter().enumerate() {
        if is_missing(object)? {
            continue;
        }
        let one = of_object(name, object, 0)?;
        found = Some(match found {
            None => one,
            Some(sofar) => common(name, &sofar, &one).ok_or_else(|| mixture(name, row, &sofar, &one))?,
        });
    }
    Ok(found.unwrap_or_else(|| Field::new(name, DataType::Null, true)))
}

fn mixture(name: &str, row: usize, sofar: &Field, one: &Field) -> PyErr {
    invalid(format!(
        "column {name:?}: row {row} holds {} where earlier rows hold {}; use one type, or give a schema",
        one.data_type(),
        sofar.data_type()
    ))
}

fn of_object(name: &str, object: &Bound<'_, PyAny>, depth: usize) -> PyResult<Field> {
    if depth > NESTING_MAX {
        return Err(invalid(format!("column {name:?}: nested more than {NESTING_MAX} deep")));
    }
    if let Ok(dict) = object.cast::<PyDict>() {
        return of_dict(name, dict, depth);
    }
    if object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>() {
        return of_items(name, object, depth);
    }
    if object.hasattr("dtype")? && object.hasattr("tolist")? {
        return of_numpy(name, object, depth);
    }
    Ok(Field::new(name, scalar(name, object)?, true))
}

fn scalar(name: &str, object: &Bound<'_, PyAny>) -> PyResult<DataType> {
    let kind = if object.is_instance_of::<PyBool>() {
        DataType::Boolean
    } else if object.is_instance_of::<PyInt>() {
        DataType::Int64
    } else if object.is_instance_of::<PyFloat>() {
        DataType::Float64
    } else if object.is_instance_of::<PyString>() {
        DataType::Utf8
    } else if object.is_instance_of::<PyBytes>() || object.is_instance_of::<PyByteArray>() {
        DataType::Binary
    } else if object.is_instance_of::<PyDateTime>() {
        let zone = (!object.getattr("tzinfo")?.is_none()).then(|| "UTC".into());
        DataType::Timestamp(TimeUnit::Microsecond, zone)
    } else if object.is_instance_of::<PyDate>() {
        DataType::Date32
    } else if object.is_instance_of::<PyTime>() {
        DataType::Time64(TimeUnit::Microsecond)
    } else if object.is_instance_of::<PyDelta>() {
        DataType::Duration(TimeUnit::Microsecond)
    } else {
        return by_name(name, object);
    };
    Ok(kind)
}

fn by_name(name: &str, object: &Bound<'_, PyAny>) -> PyResult<DataType> {
    let kind = object.get_type().name()?.to_string();
    match kind.as_str() {
        "Decimal" => decimal(name, object),
        "UUID" => Ok(DataType::Utf8),
        _ => Err(invalid(format!(
            "column {name:?}: a value of type {kind} fits no column; use numbers, text, bytes, dates, lists or dicts"
        ))),
    }
}

fn decimal(name: &str, object: &Bound<'_, PyAny>) -> PyResult<DataType> {
    let parts = object.call_method0("as_tuple")?;
    let digits = parts.getattr("digits")?.len()?;
    let exponent = parts
        .getattr("exponent")?
        .extract::<i64>()
        .map_err(|_| invalid(format!("column {name:?}: {object} has no decimal digits")))?;
    let scale = exponent.min(0).unsigned_abs() as usize;
    let precision = (digits + exponent.max(0) as usize).max(scale + 1);
    fitting_decimal(precision, scale)
        .ok_or_else(|| invalid(format!("column {name:?}: {object} needs more than 38 digits")))
}

fn fitting_decimal(precision: usize, scale: usize) -> Option<DataType> {
    (precision <= 38).then_some(DataType::Decimal128(precision as u8, scale as i8))
}

fn of_items(name: &str, object: &Bound<'_, PyAny>, depth: usize) -> PyResult<Field> {
    let mut item: Option<Field> = None;
    for element in object.try_iter()? {
        let element = element?;
        if is_missing(&element)? {
            continue;
        }
        let one = of_object("item", &element, depth + 1)?;
        item = Some(match item {
            None => one,
            Some(sofar) => common("item", &sofar, &one).ok_or_else(|| mixture(name, 0, &sofar, &one))?,
        });
    }
    let item = item.unwrap_or_else(|| Field::new("item", DataType::Null, true));
    if let DataType::FixedSizeList(_, width) = item.data_type() {
        return Ok(vector_list_field(name, *width, true));
    }
    Ok(Field::new(name, DataType::List(Arc::new(item)), true))
}

fn of_dict(name: &str, dict: &Bound<'_, PyDict>, depth: usize) -> PyResult<Field> {
    let mut fields = Vec::with_capacity(dict.len());
    for (key, value) in dict {
        let key = key
            .extract::<String>()
            .map_err(|_| invalid(format!("column {name:?}: {key} is no field name; names are text")))?;
        let field = match is_missing(&value)? {
            true => Field::new(&key, DataType::Null, true),
            false => of_object(&key, &value, depth + 1)?,
        };
        fields.push(field);
    }
    Ok(Field::new(name, DataType::Struct(fields.into()), true))
}

/// A numpy scalar, or an array: of float32 and one dimension it is a vector, of two a list of vectors.
fn of_numpy(name: &str, object: &Bound<'_, PyAny>, depth: usize) -> PyResult<Field> {
    let shape = object.getattr("shape")?.extract::<Vec<i32>>()?;
    let kind = object.getattr("dtype")?.getattr("name")?.to_string();
    match (shape.as_slice(), kind.as_str()) {
        ([width], "float32") if *width > 0 => Ok(vector_field(name, *width, true)),
        ([_, width], "float32") if *width > 0 => Ok(vector_list_field(name, *width, true)),
        _ => of_object(name, &object.call_method0("tolist")?, depth + 1),
    }
}

/// The field that holds both, when there is one.
fn common(name: &str, a: &Field, b: &Field) -> Option<Field> {
    if a.data_type() == b.data_type() {
        return Some(a.clone());
    }
    let kind = match (a.data_type(), b.data_type()) {
        (DataType::Null, _) => return Some(b.clone().with_name(name)),
        (_, DataType::Null) => return Some(a.clone()),
        (DataType::Int64, DataType::Float64) | (DataType::Float64, DataType::Int64) => DataType::Float64,
        (DataType::Decimal128(p, s), DataType::Decimal128(q, t)) => {
            let whole = (*p as usize - *s as usize).max(*q as usize - *t as usize);
            let scale = (*s).max(*t) as usize;
            fitting_decimal(whole + scale, scale)?
        }
        (DataType::Decimal128(p, s), DataType::Int64) | (DataType::Int64, DataType::Decimal128(p, s)) => {
            let whole = (*p as usize - *s as usize).max(19);
            fitting_decimal(whole + *s as usize, *s as usize)?
        }
        (DataType::List(x), DataType::List(y)) => DataType::List(Arc::new(common("item", x, y)?)),
        (DataType::Struct(x), DataType::Struct(y)) => DataType::Struct(union(x, y)?),
        _ => return None,
    };
    let marks = if a.metadata().is_empty() { b.metadata() } else { a.metadata() };
    Some(Field::new(name, kind, true).with_metadata(marks.clone()))
}

fn union(a: &Fields, b: &Fields) -> Option<Fields> {
    let mut all: Vec<FieldRef> = a.iter().cloned().collect();
    for field in b {
        match all.iter_mut().find(|known| known.name() == field.name()) {
            Some(known) => *known = Arc::new(common(field.name(), known, field)?),
            None => all.push(field.clone()),
        }
    }
    Some(all.into())
}

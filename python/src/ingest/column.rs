//! One column from a Python object: an Arrow array, a numpy array, an `array.array`, or a sequence of values.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeListArray, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use pyo3::prelude::*;
use pyo3_arrow::buffer::AnyBufferProtocol;
use pyo3_arrow::input::AnyArray;

use super::{vector_field, vector_list_field};
use crate::error::{from_arrow, invalid};
use crate::values::{build, infer};

/// A column and the field that describes it; with `target`, values without a type of their own get its type.
pub(crate) fn column(
    name: &str,
    object: &Bound<'_, PyAny>,
    target: Option<&FieldRef>,
) -> PyResult<(Field, ArrayRef)> {
    if object.hasattr("__arrow_c_array__")? || object.hasattr("__arrow_c_stream__")? {
        return arrow_column(name, object);
    }
    if object.hasattr("dtype")? && object.hasattr("tolist")? {
        return numpy_column(name, object, target);
    }
    if object.get_type().name()? == "array" {
        let array = object.extract::<AnyBufferProtocol>()?.into_arrow_array()?;
        return Ok((Field::new(name, array.data_type().clone(), true), array));
    }
    let values: Vec<Bound<'_, PyAny>> = object
        .extract()
        .map_err(|_| invalid(format!("column {name:?}: an array or a list of values is needed")))?;
    from_values(name, &values, target)
}

fn from_values(
    name: &str,
    values: &[Bound<'_, PyAny>],
    target: Option<&FieldRef>,
) -> PyResult<(Field, ArrayRef)> {
    let field = match target {
        Some(field) => field.as_ref().clone(),
        None => infer(name, values)?,
    };
    let array = build(&field, values)?;
    Ok((field, array))
}

fn arrow_column(name: &str, object: &Bound<'_, PyAny>) -> PyResult<(Field, ArrayRef)> {
    let chunked = object.extract::<AnyArray>()?.into_chunked_array()?;
    let field = chunked.field().as_ref().clone().with_name(name);
    let chunks: Vec<&dyn Array> = chunked.chunks().iter().map(AsRef::as_ref).collect();
    let array = match chunks.as_slice() {
        [] => arrow::array::new_empty_array(field.data_type()),
        [_] => chunked.chunks()[0].clone(),
        many => concat(many).map_err(from_arrow)?,
    };
    Ok((field, array))
}

fn numpy_column(
    name: &str,
    object: &Bound<'_, PyAny>,
    target: Option<&FieldRef>,
) -> PyResult<(Field, ArrayRef)> {
    if object.getattr("ndim")?.extract::<usize>()? == 0 {
        return Err(invalid(format!(
            "column {name:?}: an array of one dimension, two or three is needed, not a single value"
        )));
    }
    let dtype: String = object.getattr("dtype")?.getattr("str")?.extract()?;
    let array = match dtype.get(1..2) {
        Some("i" | "u" | "f") => buffer(name, object)?,
        Some("b") => flags(name, object)?,
        Some("M" | "m") => ticks(name, object, &dtype)?,
        Some("V") => {
            return Err(invalid(format!(
                "column {name:?}: numpy records are no values; give their fields as columns"
            )));
        }
        _ => return from_values(name, &object.call_method0("tolist")?.extract::<Vec<_>>()?, target),
    };
    match array.data_type() {
        DataType::FixedSizeList(item, width) if item.data_type() == &DataType::Float32 => {
            let field = vector_field(name, *width, false);
            let array = as_vectors(&array, &field, *width)?;
            Ok((field, array))
        }
        DataType::FixedSizeList(item, _) if is_vector(item) => {
            let width = array.as_fixed_size_list().values().as_fixed_size_list().value_length();
            let field = vector_list_field(name, width, false);
            let array = as_matrices(&array, width)?;
            Ok((field, array))
        }
        kind => Ok((Field::new(name, kind.clone(), true), array)),
    }
}

/// Whether a list has float32 vectors for items.
fn is_vector(item: &Field) -> bool {
    matches!(item.data_type(), DataType::FixedSizeList(item, _) if item.data_type() == &DataType::Float32)
}

/// Matrices of one size as lists of vectors: other rows of the table may have more vectors, or fewer.
fn as_matrices(array: &ArrayRef, width: i32) -> PyResult<ArrayRef> {
    let matrices = array.as_fixed_size_list();
    let item = Field::new("item", vector_field("", width, true).data_type().clone(), true);
    let vectors = as_vectors(matrices.values(), &item, width)?;
    let lengths = (0..matrices.len()).map(|_| matrices.value_length() as usize);
    let lists = ListArray::try_new(Arc::new(item), OffsetBuffer::from_lengths(lengths), vectors, None);
    Ok(Arc::new(lists.map_err(from_arrow)?))
}

/// The same vectors under the item field that vector columns have.
fn as_vectors(array: &ArrayRef, field: &Field, width: i32) -> PyResult<ArrayRef> {
    let DataType::FixedSizeList(item, _) = field.data_type() else { return Ok(array.clone()) };
    let values = array.as_fixed_size_list().values().clone();
    Ok(Arc::new(FixedSizeListArray::try_new(item.clone(), width, values, None).map_err(from_arrow)?))
}

/// numpy's memory as it is; arrays that are not contiguous or not native are made so first.
fn buffer(name: &str, object: &Bound<'_, PyAny>) -> PyResult<ArrayRef> {
    let py = object.py();
    let numpy = py.import("numpy")?;
    let native = object.getattr("dtype")?.call_method1("newbyteorder", ("=",))?;
    let half = native.getattr("name")?.to_string() == "float16";
    let wanted = if half { numpy.getattr("float32")? } else { native };
    let plain = numpy.call_method1("ascontiguousarray", (object, wanted))?;
    if plain.getattr("size")?.extract::<usize>()? == 0 {
        return empty(name, &plain);
    }
    let buffer: AnyBufferProtocol = plain.extract()?;
    let array = buffer.into_arrow_array()?;
    if half && plain.getattr("ndim")?.extract::<usize>()? == 1 {
        return cast(&array, &DataType::Float16).map_err(from_arrow);
    }
    Ok(array)
}

/// numpy keeps a boolean in a byte, Arrow in a bit.
fn flags(name: &str, object: &Bound<'_, PyAny>) -> PyResult<ArrayRef> {
    let bytes = buffer(name, &object.call_method1("astype", ("uint8",))?)?;
    let kind = match bytes.data_type() {
        DataType::FixedSizeList(_, width) => DataType::new_fixed_size_list(DataType::Boolean, *width, true),
        _ => DataType::Boolean,
    };
    cast(&bytes, &kind).map_err(from_arrow)
}

fn empty(name: &str, array: &Bound<'_, PyAny>) -> PyResult<ArrayRef> {
    let py = array.py();
    let shape: Vec<usize> = array.getattr("shape")?.extract()?;
    if shape.iter().skip(1).any(|size| *size == 0) {
        return Err(invalid(format!("column {name:?}: vectors need at least one element")));
    }
    let rows = [vec![1], shape[1..].to_vec()].concat();
    let one = py.import("numpy")?.call_method1("zeros", (rows, array.getattr("dtype")?))?;
    Ok(buffer(name, &one)?.slice(0, 0))
}

/// datetime64 and timedelta64, whose memory is whole numbers with -2^63 for a missing value.
fn ticks(name: &str, object: &Bound<'_, PyAny>, dtype: &str) -> PyResult<ArrayRef> {
    let unit = dtype.split(['[', ']']).nth(1).unwrap_or_default();
    let (unit, object) = match unit {
        "s" => (TimeUnit::Second, object.clone()),
        "ms" => (TimeUnit::Millisecond, object.clone()),
        "us" => (TimeUnit::Microsecond, object.clone()),
        "ns" => (TimeUnit::Nanosecond, object.clone()),
        _ => {
            let finer = format!("{}8[s]", &dtype[..2]);
            (TimeUnit::Second, object.call_method1("astype", (finer,))?)
        }
    };
    let numbers = buffer(name, &object.call_method1("view", ("int64",))?)?;
    let kind =
        if dtype[1..].starts_with('M') { DataType::Timestamp(unit, None) } else { DataType::Duration(unit) };
    let numbers = numbers.as_primitive::<arrow::datatypes::Int64Type>();
    let known: arrow::array::Int64Array =
        numbers.iter().map(|tick| tick.filter(|tick| *tick != i64::MIN)).collect();
    cast(&known, &kind).map_err(from_arrow)
}

/// The elements of one vector.
pub(crate) fn elements(item: &FieldRef, object: &Bound<'_, PyAny>) -> PyResult<ArrayRef> {
    let (_, array) = column(item.name(), object, Some(item))?;
    match array.data_type() == item.data_type() {
        true => Ok(array),
        false => cast(&array, item.data_type()).map_err(from_arrow),
    }
}

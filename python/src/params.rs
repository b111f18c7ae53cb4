//! Query parameters: a list or tuple for `$1, $2, ...`, a dict for `$name`.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeListArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type};
use datafusion::common::{ParamValues, ScalarValue};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use crate::error::{from_arrow, from_query, invalid, renamed};
use crate::ingest::column::column;
use crate::values::{build, infer};

/// The values of `params`; a value that no column could hold is `Invalid`.
pub(crate) fn params(params: &Bound<'_, PyAny>) -> PyResult<ParamValues> {
    if let Ok(named) = params.cast::<PyDict>() {
        let mut values = HashMap::with_capacity(named.len());
        for (name, value) in named {
            let name: String =
                name.extract().map_err(|_| invalid(format!("parameter {name} has no text name")))?;
            let value = scalar(&name, &value)?;
            values.insert(name, value);
        }
        return Ok(ParamValues::from(values));
    }
    if params.is_instance_of::<PyString>() || params.is_instance_of::<PyBytes>() {
        return Err(invalid("parameters come as a list for $1, $2, ... or as a dict for $name"));
    }
    let Ok(values) = params.try_iter() else {
        return Err(invalid("parameters come as a list for $1, $2, ... or as a dict for $name"));
    };
    let values = values.enumerate().map(|(place, value)| scalar(&format!("${}", place + 1), &value?));
    Ok(ParamValues::from(values.collect::<PyResult<Vec<_>>>()?))
}

/// One value, called `name` in messages: a numpy or Arrow array of one dimension is a vector, one of two a list of vectors.
pub(crate) fn scalar(name: &str, value: &Bound<'_, PyAny>) -> PyResult<ScalarValue> {
    let is_array = value.hasattr("ndim")? && matches!(value.getattr("ndim")?.extract::<usize>()?, 1 | 2);
    if is_array || value.hasattr("__arrow_c_array__")? || value.get_type().name()? == "array" {
        return vector(name, value);
    }
    let objects = [value.clone()];
    let named = |error| renamed(error, &format!("column {name:?}"), &format!("parameter {name}"));
    let array = infer(name, &objects).and_then(|field| build(&field, &objects)).map_err(named)?;
    ScalarValue::try_from_array(&array, 0).map_err(from_query)
}

fn vector(name: &str, value: &Bound<'_, PyAny>) -> PyResult<ScalarValue> {
    let (_, values) = column(name, value, None)?;
    let width = i32::try_from(values.len()).map_err(|_| invalid(format!("parameter {name} is too long")))?;
    let item = Field::new("item", values.data_type().clone(), true);
    let list: ArrayRef =
        Arc::new(FixedSizeListArray::try_new(item.into(), width, values, None).map_err(from_arrow)?);
    ScalarValue::try_from_array(&list, 0).map_err(from_query)
}

/// `value` as the parameter it is, a vector or a list of vectors: a list of numbers counts as float32.
pub(crate) fn vector_object<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let array = value.py().import("array")?.getattr("array")?;
    let is_list =
        |value: &Bound<'_, PyAny>| value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>();
    let is_flat = || Ok::<_, PyErr>(value.len()? == 0 || !is_list(&value.get_item(0)?));
    let vector = match is_list(value) && is_flat()? {
        true => array
            .call1(("f", value))
            .map_err(|why| invalid(format!("the vector is no list of numbers: {why}")))?,
        false => value.clone(),
    };
    let (_, elements) = column("vector", &vector, None)?;
    let elements = match elements.data_type() {
        DataType::List(_) => Arc::clone(elements.as_list::<i32>().values()),
        DataType::FixedSizeList(_, _) => Arc::clone(elements.as_fixed_size_list().values()),
        _ => elements,
    };
    let elements = cast(&elements, &DataType::Float64)
        .map_err(|_| invalid(format!("a vector is a list of numbers, not {}", elements.data_type())))?;
    match elements.as_primitive::<Float64Type>().iter().all(|element| element.is_some_and(f64::is_finite)) {
        true => Ok(vector),
        false => Err(invalid("the vector holds an element that is no finite number")),
    }
}

//! Python objects to sparse vectors: `{index: value}`, `{"indices": [...], "values": [...]}`, or a row of a scipy matrix.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, ListArray, StructArray, UInt32Array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::build::is_missing;
use crate::error::{from_arrow, invalid};

type Pairs = Vec<(u32, f32)>;

/// An array of sparse vectors, the indices of each in order.
pub(super) fn build(field: &Field, fields: &Fields, objects: &[Bound<'_, PyAny>]) -> PyResult<ArrayRef> {
    let (mut indices, mut values, mut lengths, mut valid) = (vec![], vec![], vec![], vec![]);
    for (row, object) in objects.iter().enumerate() {
        let missing = is_missing(object)?;
        let mut pairs = if missing { vec![] } else { pairs(field, row, object)? };
        pairs.sort_by_key(|(index, _)| *index);
        lengths.push(pairs.len());
        valid.push(!missing);
        indices.extend(pairs.iter().map(|(index, _)| *index));
        values.extend(pairs.iter().map(|(_, value)| *value));
    }
    let offsets = OffsetBuffer::<i32>::from_lengths(lengths);
    let lists: [ArrayRef; 2] = [Arc::new(UInt32Array::from(indices)), Arc::new(Float32Array::from(values))];
    let list = |(field, values): (&Arc<Field>, ArrayRef)| -> PyResult<ArrayRef> {
        let DataType::List(item) = field.data_type() else {
            return Err(invalid(format!("{} of a sparse vector must be a list", field.name())));
        };
        Ok(Arc::new(ListArray::try_new(item.clone(), offsets.clone(), values, None).map_err(from_arrow)?))
    };
    let lists = fields.iter().zip(lists).map(list).collect::<PyResult<Vec<_>>>()?;
    let nulls = Some(NullBuffer::from(valid)).filter(|nulls| nulls.null_count() > 0);
    let array = StructArray::try_new_with_length(fields.clone(), lists, nulls, objects.len());
    Ok(Arc::new(array.map_err(from_arrow)?))
}

fn pairs(field: &Field, row: usize, object: &Bound<'_, PyAny>) -> PyResult<Pairs> {
    let what = "is no sparse vector; give {index: value} or {\"indices\": [...], \"values\": [...]}";
    let wrong = |_| invalid(format!("column {:?}, row {row}: it {what}", field.name()));
    read(object).map_err(wrong)?.ok_or_else(|| {
        let name = field.name();
        invalid(format!("column {name:?}, row {row}: the sparse vector has not one value for each index"))
    })
}

/// `None` when there is not one value for each index.
fn read(object: &Bound<'_, PyAny>) -> PyResult<Option<Pairs>> {
    let (indices, values) = match object.cast::<PyDict>() {
        Ok(dict) => match (dict.get_item("indices")?, dict.get_item("values")?) {
            (Some(indices), Some(values)) => (indices, values),
            _ => {
                let pair = |(index, value): (Bound<'_, PyAny>, Bound<'_, PyAny>)| {
                    Ok((index.extract()?, value.extract()?))
                };
                return dict.iter().map(pair).collect::<PyResult<Pairs>>().map(Some);
            }
        },
        Err(_) => (object.getattr("indices")?, object.getattr("data")?),
    };
    let (indices, values): (Vec<u32>, Vec<f32>) =
        (numbers(&indices)?.extract()?, numbers(&values)?.extract()?);
    Ok((indices.len() == values.len()).then(|| indices.into_iter().zip(values).collect()))
}

/// A numpy array as the list that it is.
fn numbers<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    match object.hasattr("tolist")? {
        true => object.call_method0("tolist"),
        false => Ok(object.clone()),
    }
}

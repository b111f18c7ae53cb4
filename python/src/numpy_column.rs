//! A column described for numpy: a dtype, the bytes, and the shape. numpy itself is never touched here.
//!
//! Fixed-width values are handed over as the Arrow buffer itself, read-only and without a copy. Booleans
//! and days are widened; lists of vectors come with where each begins; everything numpy has no dtype for becomes a list of Python objects.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::Buffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, TimeUnit};
use pyo3::prelude::*;
use pyo3_arrow::buffer::PyArrowBuffer;

use crate::error::from_arrow;
use crate::values::objects;

/// What `trilith/_numpy.py` needs to build one array.
#[derive(IntoPyObject)]
pub(crate) struct NumpyColumn {
    name: String,
    /// numpy's name of the element type; "O" for Python objects.
    dtype: String,
    /// Elements per row: `None` for a scalar column, `d` for a vector column.
    width: Option<i32>,
    /// A buffer, or the list of objects.
    data: Py<PyAny>,
    /// Where the vectors of each row begin, and at last where they end, as 32-bit integers: of a column of lists of vectors.
    offsets: Option<Py<PyAny>>,
    /// One byte per row, 1 where the value is null; absent when no value is.
    mask: Option<Py<PyAny>>,
}

/// Describes `array`.
pub(crate) fn numpy_column(py: Python<'_>, field: &Field, array: &ArrayRef) -> PyResult<NumpyColumn> {
    let name = field.name().clone();
    let mask = (array.logical_null_count() > 0).then(|| mask(py, array)).transpose()?;
    if let Some(matrices) = matrices(py, array)? {
        return Ok(NumpyColumn { name, mask, ..matrices });
    }
    if let DataType::FixedSizeList(_, width) = array.data_type() {
        let list = array.as_fixed_size_list();
        let values = list.values().slice(list.value_offset(0) as usize, list.len() * *width as usize);
        if let Some((dtype, data)) = fixed_width(&values).filter(|_| is_dense(array, &values)) {
            return Ok(NumpyColumn {
                name,
                dtype,
                width: Some(*width),
                data: buffer(py, data)?,
                offsets: None,
                mask,
            });
        }
    } else if let Some((dtype, data)) = fixed_width(array) {
        return Ok(NumpyColumn { name, dtype, width: None, data: buffer(py, data)?, offsets: None, mask });
    } else if let Some((dtype, data)) = widened(array).transpose()? {
        return Ok(NumpyColumn { name, dtype, width: None, data: buffer(py, data)?, offsets: None, mask });
    }
    let data = objects(py, field, array)?.into_any().unbind();
    Ok(NumpyColumn { name, dtype: "O".into(), width: None, data, offsets: None, mask: None })
}

/// Describes lists of vectors none of which is null; `None` for anything else.
fn matrices(py: Python<'_>, array: &ArrayRef) -> PyResult<Option<NumpyColumn>> {
    let Some(lists) = array.as_list_opt::<i32>() else { return Ok(None) };
    let DataType::FixedSizeList(_, width) = *lists.values().data_type() else { return Ok(None) };
    let vectors = lists.values().as_fixed_size_list();
    let first = if vectors.is_empty() { 0 } else { vectors.value_offset(0) as usize };
    let elements = vectors.values().slice(first, vectors.len() * width as usize);
    if vectors.null_count() > 0 || elements.null_count() > 0 {
        return Ok(None);
    }
    let Some((dtype, data)) = fixed_width(&elements) else { return Ok(None) };
    let offsets = Some(buffer(py, lists.offsets().inner().inner().clone())?);
    let (data, name, mask) = (buffer(py, data)?, String::new(), None);
    Ok(Some(NumpyColumn { name, dtype, width: Some(width), data, offsets, mask }))
}

/// True when no element of a vector is null, save those of vectors that are null as a whole.
fn is_dense(vectors: &ArrayRef, elements: &ArrayRef) -> bool {
    let width = elements.len().checked_div(vectors.len()).unwrap_or_default();
    let dense = |row: usize| vectors.is_null(row) || elements.slice(row * width, width).null_count() == 0;
    elements.null_count() == 0 || (0..vectors.len()).all(dense)
}

fn buffer(py: Python<'_>, data: Buffer) -> PyResult<Py<PyAny>> {
    Ok(Py::new(py, PyArrowBuffer::new(data))?.into_any())
}

fn mask(py: Python<'_>, array: &ArrayRef) -> PyResult<Py<PyAny>> {
    let bytes: Vec<u8> = (0..array.len()).map(|row| u8::from(array.is_null(row))).collect();
    buffer(py, Buffer::from_vec(bytes))
}

/// The dtype and the bytes of a type that numpy stores the same way.
fn fixed_width(array: &ArrayRef) -> Option<(String, Buffer)> {
    let dtype = match array.data_type() {
        DataType::Int8 => "i1".into(),
        DataType::Int16 => "<i2".into(),
        DataType::Int32 => "<i4".into(),
        DataType::Int64 => "<i8".into(),
        DataType::UInt8 => "u1".into(),
        DataType::UInt16 => "<u2".into(),
        DataType::UInt32 => "<u4".into(),
        DataType::UInt64 => "<u8".into(),
        DataType::Float16 => "<f2".into(),
        DataType::Float32 => "<f4".into(),
        DataType::Float64 => "<f8".into(),
        DataType::Timestamp(unit, _) => format!("<M8[{}]", unit_name(*unit)),
        DataType::Duration(unit) => format!("<m8[{}]", unit_name(*unit)),
        _ => return None,
    };
    let data = array.to_data();
    let width = array.data_type().primitive_width()?;
    let bytes = data.buffers().first()?.slice_with_length(data.offset() * width, data.len() * width);
    Some((dtype, bytes))
}

/// The dtype and the bytes of a type that numpy stores wider than Arrow does.
fn widened(array: &ArrayRef) -> Option<PyResult<(String, Buffer)>> {
    match array.data_type() {
        DataType::Boolean => {
            let bits = array.as_boolean().values().iter();
            Some(Ok(("?".into(), Buffer::from_vec(bits.map(u8::from).collect::<Vec<u8>>()))))
        }
        DataType::Date32 => Some(days(array)),
        _ => None,
    }
}

fn days(array: &ArrayRef) -> PyResult<(String, Buffer)> {
    let days = cast(array, &DataType::Int32).and_then(|days| cast(&days, &DataType::Int64));
    let days = days.map_err(from_arrow)?;
    Ok(("<M8[D]".into(), days.as_primitive::<arrow::datatypes::Int64Type>().values().inner().clone()))
}

fn unit_name(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    }
}

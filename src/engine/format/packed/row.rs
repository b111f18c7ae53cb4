//! One row from plain values to its packed form, without an array in between.

use std::ops::Range;

use arrow::datatypes::{DataType, FieldRef};

/// Up to here, every integer is a float.
const F32_INT_MAX: u128 = 1 << f32::MANTISSA_DIGITS;
const F64_INT_MAX: u128 = 1 << f64::MANTISSA_DIGITS;

/// A value of one column, given without an array.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Value<'a> {
    /// No value.
    Null,
    /// For boolean columns.
    Bool(bool),
    /// For integers of any width, for floats where they hold every integer up to it, and for dates, times, timestamps and durations in the
    /// column's own unit.
    Int(i128),
    /// For floats.
    Float(f64),
    /// For strings.
    Text(&'a str),
    /// For binary columns; where they have a fixed size, of that size.
    Bytes(&'a [u8]),
}

/// Appends a column of one row, and tells where in `out` its value lies; `None` when the type does not hold it.
pub(crate) fn pack_value(value: Value<'_>, field: &FieldRef, out: &mut Vec<u8>) -> Option<Range<usize>> {
    let data_type = field.data_type();
    if value == Value::Null {
        out.extend_from_slice(&[1, 0]);
        pack_zeros(data_type, 1, out);
        return Some(out.len()..out.len());
    }
    out.push(0);
    let mut start = out.len();
    match (value, data_type) {
        (Value::Bool(flag), DataType::Boolean) => out.push(u8::from(flag)),
        (Value::Int(int), DataType::Float32) if int.unsigned_abs() <= F32_INT_MAX => {
            return pack_float(int as f64, data_type, out);
        }
        (Value::Int(int), DataType::Float64) if int.unsigned_abs() <= F64_INT_MAX => {
            return pack_float(int as f64, data_type, out);
        }
        (Value::Int(int), _) => out.extend_from_slice(&int.to_le_bytes()[..int_width(int, data_type)?]),
        (Value::Float(float), _) => return pack_float(float, data_type, out),
        (Value::Text(text), DataType::Utf8 | DataType::LargeUtf8) => start = pack_long(text.as_bytes(), out)?,
        (Value::Bytes(bytes), DataType::Binary | DataType::LargeBinary) => start = pack_long(bytes, out)?,
        (Value::Bytes(bytes), DataType::FixedSizeBinary(len)) if usize::try_from(*len) == Ok(bytes.len()) => {
            out.extend_from_slice(bytes);
        }
        _ => return None,
    }
    Some(start..out.len())
}

fn pack_float(float: f64, data_type: &DataType, out: &mut Vec<u8>) -> Option<Range<usize>> {
    let start = out.len();
    match data_type {
        DataType::Float32 => out.extend_from_slice(&(float as f32).to_le_bytes()),
        DataType::Float64 => out.extend_from_slice(&float.to_le_bytes()),
        _ => return None,
    }
    Some(start..out.len())
}

/// The length, then the bytes; where those start.
fn pack_long(bytes: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    out.extend_from_slice(&u32::try_from(bytes.len()).ok()?.to_le_bytes());
    out.extend_from_slice(bytes);
    Some(out.len() - bytes.len())
}

/// Bytes of a type of whole numbers that holds `int`.
fn int_width(int: i128, data_type: &DataType) -> Option<usize> {
    let is_unsigned = data_type.is_unsigned_integer();
    let is_whole =
        data_type.is_integer() || data_type.is_temporal() && !matches!(data_type, DataType::Interval(_));
    let width = data_type.primitive_width().filter(|_| is_whole)?;
    let bits = width * 8 - usize::from(!is_unsigned);
    let fits = int >> bits == 0 || !is_unsigned && int >> bits == -1;
    fits.then_some(width)
}

/// The values of rows that have none.
fn pack_zeros(data_type: &DataType, rows: usize, out: &mut Vec<u8>) {
    let zeros = |width: usize, out: &mut Vec<u8>| out.resize(out.len() + rows * width, 0);
    match data_type {
        DataType::Boolean => zeros(1, out),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Binary | DataType::LargeBinary => zeros(4, out),
        DataType::FixedSizeBinary(width) => zeros(usize::try_from(*width).unwrap_or_default(), out),
        DataType::Struct(fields) => {
            for field in fields {
                out.push(0);
                pack_zeros(field.data_type(), rows, out);
            }
        }
        DataType::FixedSizeList(item, len) => {
            out.push(0);
            pack_zeros(item.data_type(), rows * usize::try_from(*len).unwrap_or_default(), out);
        }
        other => zeros(other.primitive_width().unwrap_or_default(), out),
    }
}

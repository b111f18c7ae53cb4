//! Columns to keys: whole batches column by column, single rows into one buffer.

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, FixedSizeBinaryArray};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{ArrowPrimitiveType, DataType};

use super::{FixedKey, KeyCodec, Layout};
use crate::common::{Error, Result};
use crate::format::primitive::with_primitive;

/// Ends an escaped value; a zero byte inside one becomes `00 FF`, which sorts after it.
pub(super) const TERMINATOR: [u8; 2] = [0, 0];
/// Follows a zero byte that belongs to the value.
pub(super) const ESCAPE: u8 = 0xff;

impl KeyCodec {
    /// Keys of all rows.
    ///
    /// # Errors
    /// `Invalid` when the columns are not those of this key or hold a null; `Limit` when the keys pass 2 GiB.
    pub fn encode(&self, columns: &[ArrayRef]) -> Result<BinaryArray> {
        let rows = self.check(columns)?;
        match self.fixed_len() {
            Some(width) => match columns[0].as_fixed_size_binary_opt() {
                Some(column) if columns.len() == 1 => single_fixed(column, rows, width),
                _ => self.encode_fixed(columns, rows, width),
            },
            None if columns.len() == 1 => Ok(single_variable(&columns[0])?),
            None => self.encode_rows(columns, rows),
        }
    }

    /// Key of one row.
    ///
    /// # Errors
    /// As [`KeyCodec::encode`]; `Invalid` when there is no such row.
    pub fn encode_row(&self, columns: &[ArrayRef], row: usize) -> Result<Vec<u8>> {
        let rows = self.check(columns)?;
        if row >= rows {
            return Err(Error::invalid("primary key", format!("row {row} of {rows} was asked for")));
        }
        let mut key = Vec::with_capacity(self.fixed_len().unwrap_or(32));
        self.encode_row_into(columns, row, &mut key);
        Ok(key)
    }

    /// Appends the key of `row`; the columns were checked before.
    pub(crate) fn encode_row_into(&self, columns: &[ArrayRef], row: usize, key: &mut Vec<u8>) {
        let last = columns.len().saturating_sub(1);
        for (i, (column, layout)) in columns.iter().zip(&self.layouts).enumerate() {
            match layout {
                Layout::Fixed(width) => {
                    let start = key.len();
                    key.resize(start + width, 0);
                    put_fixed_row(column, row, &mut key[start..]);
                }
                Layout::Variable if i == last => key.extend_from_slice(value_bytes(column, row)),
                Layout::Variable => escape_into(value_bytes(column, row), key),
            }
        }
    }

    /// Key of one row, given the values of its columns as [packed rows](crate::format::packed) hold them.
    ///
    /// # Errors
    /// `Invalid` when a column has no value.
    pub(crate) fn encode_packed<'a>(&self, values: impl Iterator<Item = &'a [u8]>) -> Result<Vec<u8>> {
        let last = self.types.len().saturating_sub(1);
        let mut key = Vec::with_capacity(self.fixed_len().unwrap_or(32));
        for (i, (value, (layout, data_type))) in values.zip(self.layouts.iter().zip(&self.types)).enumerate()
        {
            match layout {
                Layout::Fixed(width) => {
                    let start = key.len();
                    key.resize(start + width, 0);
                    put_packed(data_type, value, &mut key[start..])
                        .ok_or_else(|| Error::invalid("primary key", "a key column must not be null"))?;
                }
                Layout::Variable if i == last => key.extend_from_slice(value),
                Layout::Variable => escape_into(value, &mut key),
            }
        }
        Ok(key)
    }

    fn encode_fixed(&self, columns: &[ArrayRef], rows: usize, width: usize) -> Result<BinaryArray> {
        let total = rows.saturating_mul(width);
        check_total(total)?;
        let mut values = vec![0u8; total];
        let mut start = 0;
        for (column, layout) in columns.iter().zip(&self.layouts) {
            if total > 0 {
                put_fixed_column(column, &mut values[start..], width);
            }
            start += if let Layout::Fixed(len) = layout { *len } else { 0 };
        }
        let offsets: Vec<i32> = (0..=rows).map(|row| (row * width) as i32).collect();
        binary(offsets, values)
    }

    fn encode_rows(&self, columns: &[ArrayRef], rows: usize) -> Result<BinaryArray> {
        let mut values = Vec::with_capacity(rows * 32);
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        for row in 0..rows {
            self.encode_row_into(columns, row, &mut values);
            check_total(values.len())?;
            offsets.push(values.len() as i32);
        }
        binary(offsets, values)
    }
}

fn check_total(bytes: usize) -> Result<()> {
    if i32::try_from(bytes).is_ok() {
        return Ok(());
    }
    Err(Error::Limit { what: "bytes of keys in one batch".into(), got: bytes as u64, max: i32::MAX as u64 })
}

fn binary(offsets: Vec<i32>, values: Vec<u8>) -> Result<BinaryArray> {
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    Ok(BinaryArray::try_new(offsets, Buffer::from_vec(values), None)?)
}

/// A lone column of fixed-size binary is its own key, so its buffer is shared.
fn single_fixed(column: &FixedSizeBinaryArray, rows: usize, width: usize) -> Result<BinaryArray> {
    check_total(rows.saturating_mul(width))?;
    let offsets: Vec<i32> = (0..=rows).map(|row| (row * width) as i32).collect();
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    Ok(BinaryArray::try_new(offsets, column.values().clone(), None)?)
}

/// A lone string or binary column is its own key, so its buffers are shared when the offsets fit.
fn single_variable(column: &ArrayRef) -> Result<BinaryArray> {
    let array = match column.data_type() {
        DataType::Utf8 => {
            let (offsets, values, _) = column.as_string::<i32>().clone().into_parts();
            return Ok(BinaryArray::try_new(offsets, values, None)?);
        }
        DataType::Binary => {
            let (offsets, values, _) = column.as_binary::<i32>().clone().into_parts();
            return Ok(BinaryArray::try_new(offsets, values, None)?);
        }
        _ => {
            let total: usize = (0..column.len()).map(|row| value_bytes(column, row).len()).sum();
            check_total(total)?;
            BinaryArray::from_iter_values((0..column.len()).map(|row| value_bytes(column, row)))
        }
    };
    Ok(array)
}

/// Writes each row's key part at the start of its `stride` bytes.
fn put_fixed_column(column: &ArrayRef, out: &mut [u8], stride: usize) {
    let data_type = column.data_type();
    with_primitive!(data_type, T => put_values(column.as_primitive::<T>().values(), out, stride), _ => {
        for (row, slot) in out.chunks_mut(stride).enumerate() {
            put_fixed_row(column, row, slot);
        }
    });
}

fn put_values<V: FixedKey>(values: &[V], out: &mut [u8], stride: usize) {
    if stride == V::WIDTH {
        for (slot, value) in out.chunks_exact_mut(V::WIDTH).zip(values) {
            value.put(slot);
        }
    } else {
        for (slot, value) in out.chunks_mut(stride).zip(values) {
            value.put(slot);
        }
    }
}

fn put_fixed_row(column: &ArrayRef, row: usize, out: &mut [u8]) {
    fn value<T: ArrowPrimitiveType>(column: &ArrayRef, row: usize) -> T::Native {
        column.as_primitive::<T>().value(row)
    }
    let data_type = column.data_type();
    with_primitive!(data_type, T => value::<T>(column, row).put(out), _ => match data_type {
        DataType::Boolean => out[0] = u8::from(column.as_boolean().value(row)),
        _ => {
            let bytes = value_bytes(column, row);
            out[..bytes.len()].copy_from_slice(bytes);
        }
    });
}

/// The key part of a value that lies there little-endian; `None` when it is too short.
fn put_packed(data_type: &DataType, value: &[u8], out: &mut [u8]) -> Option<()> {
    with_primitive!(data_type, T => <T as ArrowPrimitiveType>::Native::read(value)?.put(out), _ => {
        out.copy_from_slice(value.get(..out.len())?);
    });
    Some(())
}

/// Bytes of a string or binary value.
pub(crate) fn value_bytes(column: &ArrayRef, row: usize) -> &[u8] {
    match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row).as_bytes(),
        DataType::LargeUtf8 => column.as_string::<i64>().value(row).as_bytes(),
        DataType::Utf8View => column.as_string_view().value(row).as_bytes(),
        DataType::Binary => column.as_binary::<i32>().value(row),
        DataType::LargeBinary => column.as_binary::<i64>().value(row),
        DataType::BinaryView => column.as_binary_view().value(row),
        DataType::FixedSizeBinary(_) => column.as_fixed_size_binary().value(row),
        _ => &[],
    }
}

fn escape_into(value: &[u8], key: &mut Vec<u8>) {
    for (i, piece) in value.split(|byte| *byte == 0).enumerate() {
        if i > 0 {
            key.extend_from_slice(&[0, ESCAPE]);
        }
        key.extend_from_slice(piece);
    }
    key.extend_from_slice(&TERMINATOR);
}

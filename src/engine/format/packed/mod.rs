//! A few rows as bytes, without the metadata of an Arrow message, which is several times as long as a row.
//!
//! ```text
//! column: nulls u8 (1 when a bitmap follows) | bitmap of valid rows | values
//! values: fixed width: each value; boolean: a byte each; string, binary: each length (u32), then the bytes;
//!         struct: its fields as columns; list of fixed size: its items as a column
//! ```
//! Nothing is aligned: reading copies into Arrow's buffers. Only for columns of these types, one after another in the
//! order of the schema.

mod columns;
mod row;
#[cfg(test)]
mod tests;

use arrow::array::{Array, ArrayRef, AsArray, BooleanBufferBuilder, RecordBatch};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::datatypes::{DataType, SchemaRef};

pub use columns::PackedColumns;
pub use row::Value;
pub(crate) use row::pack_value;

use super::key::value_bytes;
use super::primitive::with_primitive;
use crate::common::{Error, Result};

/// Rows up to which the packed form is the shorter one, and quicker to write.
pub const PACKED_ROWS_MAX: usize = 32;

/// The packed form of a batch; `None` when it has many rows or a column of another type.
#[must_use]
pub fn pack(batch: &RecordBatch) -> Option<Vec<u8>> {
    if batch.num_rows() > PACKED_ROWS_MAX
        || !batch.columns().iter().all(|column| is_packable(column.data_type()))
    {
        return None;
    }
    let mut out = Vec::with_capacity(64 * batch.num_columns());
    batch.columns().iter().for_each(|column| pack_column(column, &mut out));
    Some(out)
}

/// True for a type whose values have a packed form.
#[must_use]
pub fn is_packable(data_type: &DataType) -> bool {
    match data_type {
        DataType::Boolean | DataType::FixedSizeBinary(_) => true,
        DataType::Float16 | DataType::Interval(_) => false,
        DataType::Struct(fields) => fields.iter().all(|field| is_packable(field.data_type())),
        DataType::FixedSizeList(item, _) => is_packable(item.data_type()),
        other => is_variable(other) || other.is_primitive(),
    }
}

fn is_variable(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Binary | DataType::LargeBinary)
}

fn pack_column(column: &ArrayRef, out: &mut Vec<u8>) {
    match column.nulls().filter(|nulls| nulls.null_count() > 0) {
        Some(nulls) => {
            out.push(1);
            out.extend_from_slice(bits(nulls).as_slice());
        }
        None => out.push(0),
    }
    let data_type = column.data_type();
    with_primitive!(data_type, T => out.extend_from_slice(column.as_primitive::<T>().values().inner().as_slice()), _ => match data_type {
        DataType::Boolean => out.extend(column.as_boolean().values().iter().map(u8::from)),
        DataType::Struct(_) => column.as_struct().columns().iter().for_each(|field| pack_column(field, out)),
        DataType::FixedSizeList(_, len) => {
            let items = column.as_fixed_size_list().values();
            pack_column(&items.slice(0, column.len() * *len as usize), out);
        }
        _ => pack_bytes(column, out),
    });
}

fn pack_bytes(column: &ArrayRef, out: &mut Vec<u8>) {
    if is_variable(column.data_type()) {
        let lens = (0..column.len()).map(|row| value_bytes(column, row).len() as u32);
        lens.for_each(|len| out.extend_from_slice(&len.to_le_bytes()));
    }
    (0..column.len()).for_each(|row| out.extend_from_slice(value_bytes(column, row)));
}

/// A bitmap that begins at its first bit.
fn bits(nulls: &NullBuffer) -> Buffer {
    let mut bits = BooleanBufferBuilder::new(nulls.len());
    nulls.iter().for_each(|valid| bits.append(valid));
    bits.finish().into_inner()
}

/// Rows from their packed form. Arrow validates them in full.
///
/// # Errors
/// `Corrupt` when the bytes are not `rows` rows of this schema.
pub fn unpack(bytes: &[u8], rows: usize, schema: &SchemaRef) -> Result<RecordBatch> {
    if rows > PACKED_ROWS_MAX {
        return Err(damaged());
    }
    let mut columns = PackedColumns::new(schema)?;
    columns.push(bytes, rows)?;
    columns.finish()
}

fn damaged() -> Error {
    Error::corrupt("log record", 0, "its packed rows do not fit the table")
}

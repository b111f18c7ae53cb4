//! A few rows as bytes, without the metadata of an Arrow message, which is several times as long as a row.
//!
//! ```text
//! column: nulls u8 (1 when a bitmap follows) | bitmap of valid rows | values
//! values: fixed width: each value; boolean: a byte each; string, binary: each length (u32), then the bytes
//! ```
//! Nothing is aligned: reading copies into Arrow's buffers. Only for columns of these types, one after another in the
//! order of the schema.

use arrow::array::{
    Array, ArrayData, ArrayRef, AsArray, BooleanBufferBuilder, RecordBatch, make_array, new_empty_array,
};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::datatypes::{DataType, SchemaRef};

use super::cursor::Cursor;
use super::key::value_bytes;
use super::primitive::with_primitive;
use super::table::record_batch;
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

fn is_packable(data_type: &DataType) -> bool {
    match data_type {
        DataType::Boolean | DataType::FixedSizeBinary(_) => true,
        DataType::Float16 | DataType::Interval(_) => false,
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
    with_primitive!(data_type, T => out.extend_from_slice(column.as_primitive::<T>().values().inner().as_slice()), _ => {
        match column.as_boolean_opt() {
            Some(flags) => out.extend(flags.values().iter().map(u8::from)),
            None => pack_bytes(column, out),
        }
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
    let damaged = || Error::corrupt("log record", 0, "its packed rows do not fit the table");
    if rows > PACKED_ROWS_MAX {
        return Err(damaged());
    }
    let mut cursor = Cursor::new(bytes);
    let mut columns = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let data = unpack_column(&mut cursor, field.data_type(), rows).ok_or_else(damaged)?;
        columns.push(data.map_or_else(|| new_empty_array(field.data_type()), make_array));
    }
    if cursor.is_at_end() { record_batch(schema, columns, rows) } else { Err(damaged()) }
}

/// `Some(None)` for no rows.
fn unpack_column(cursor: &mut Cursor<'_>, data_type: &DataType, rows: usize) -> Option<Option<ArrayData>> {
    let nulls = match cursor.bytes(1)?[0] {
        0 => None,
        1 => Some(Buffer::from(cursor.bytes(rows.div_ceil(8))?)),
        _ => return None,
    };
    let data = ArrayData::builder(data_type.clone()).len(rows).null_bit_buffer(nulls);
    let data = match data_type {
        _ if rows == 0 => return Some(None),
        DataType::Boolean => data.add_buffer(unpack_flags(cursor.bytes(rows)?)),
        DataType::Utf8 | DataType::Binary => {
            let (lens, values) = unpack_bytes(cursor, rows)?;
            data.add_buffer(Buffer::from_vec(ends(&lens, |end| end as i32))).add_buffer(values)
        }
        DataType::LargeUtf8 | DataType::LargeBinary => {
            let (lens, values) = unpack_bytes(cursor, rows)?;
            data.add_buffer(Buffer::from_vec(ends(&lens, |end| end as i64))).add_buffer(values)
        }
        DataType::FixedSizeBinary(width) => {
            data.add_buffer(Buffer::from(cursor.bytes(rows * usize::try_from(*width).ok()?)?))
        }
        other => data.add_buffer(Buffer::from(cursor.bytes(rows * other.primitive_width()?)?)),
    };
    data.align_buffers(true).build().ok().map(Some)
}

fn unpack_flags(bytes: &[u8]) -> Buffer {
    let mut flags = BooleanBufferBuilder::new(bytes.len());
    bytes.iter().for_each(|byte| flags.append(*byte != 0));
    flags.finish().into_inner()
}

fn unpack_bytes(cursor: &mut Cursor<'_>, rows: usize) -> Option<(Vec<usize>, Buffer)> {
    let lens = (0..rows).map(|_| cursor.u32().map(|len| len as usize)).collect::<Option<Vec<usize>>>()?;
    let total = lens.iter().sum::<usize>();
    (i32::try_from(total).is_ok()).then_some(())?;
    Some((lens, Buffer::from(cursor.bytes(total)?)))
}

/// Where each value ends, after a zero.
fn ends<O>(lens: &[usize], offset: impl Fn(usize) -> O) -> Vec<O> {
    let mut end = 0;
    let mut ends = vec![offset(0)];
    ends.extend(lens.iter().map(|len| {
        end += len;
        offset(end)
    }));
    ends
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::Arc;

    use arrow::array::*;
    use arrow::datatypes::{Field, Int32Type, Schema};
    use proptest::prelude::*;

    use super::*;

    fn batch(values: &[Option<i64>]) -> RecordBatch {
        let texts = values.iter().map(|value| value.map(|value| format!("é{value}")));
        let texts: Vec<Option<String>> = texts.collect();
        let present = values.iter().map(|value| value.unwrap_or_default());
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(values.to_vec())),
            Arc::new(Int8Array::from_iter_values(present.clone().map(|value| value as i8))),
            Arc::new(Decimal128Array::from_iter_values(present.clone().map(i128::from))),
            Arc::new(Float64Array::from_iter_values(present.clone().map(|value| value as f64))),
            Arc::new(BooleanArray::from_iter(values.iter().map(|value| value.map(|value| value % 2 == 0)))),
            Arc::new(StringArray::from(texts.clone())),
            Arc::new(LargeStringArray::from(texts.clone())),
            Arc::new(BinaryArray::from_iter(texts.iter().map(|text| text.as_ref().map(String::as_bytes)))),
            Arc::new(TimestampMicrosecondArray::from(values.to_vec()).with_timezone("+01:00")),
        ];
        let fields = columns.iter().map(|column| Field::new("c", column.data_type().clone(), true));
        RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), columns).unwrap()
    }

    proptest! {
        #[test]
        fn rows_come_back(values in prop::collection::vec(prop::option::of(any::<i64>()), 0..40), cut in 0usize..40) {
            let batch = batch(&values);
            let batch = batch.slice(cut.min(batch.num_rows()), batch.num_rows() - cut.min(batch.num_rows()));
            match pack(&batch) {
                Some(bytes) => {
                    prop_assert_eq!(&unpack(&bytes, batch.num_rows(), &batch.schema()).unwrap(), &batch);
                    prop_assert!(unpack(&bytes[..bytes.len() - 1], batch.num_rows(), &batch.schema()).is_err());
                }
                None => prop_assert!(batch.num_rows() > PACKED_ROWS_MAX),
            }
        }

        #[test]
        fn any_bytes_are_rows_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200), rows in 0usize..40) {
            let _ = unpack(&bytes, rows, &batch(&[]).schema());
        }
    }

    #[test]
    fn other_types_stay_arrow_messages() {
        let words: DictionaryArray<Int32Type> = ["a"].into_iter().collect();
        let words: ArrayRef = Arc::new(words);
        assert_eq!(pack(&RecordBatch::try_from_iter([("w", words)]).unwrap()), None);
    }
}

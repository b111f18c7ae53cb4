//! Arrow columns that grow by packed rows: what a log record becomes, and where the rows of many small commits gather.
//!
//! Rows go in without an array per commit; Arrow sees them once, when all are there.

use arrow::array::{ArrayData, ArrayRef, BooleanBufferBuilder, NullBufferBuilder, RecordBatch, make_array};
use arrow::buffer::{Buffer, MutableBuffer};
use arrow::datatypes::{ArrowNativeType, DataType, SchemaRef};

use super::{damaged, is_packable};
use crate::common::Result;
use crate::format::cursor::Cursor;
use crate::format::table::record_batch;

/// Columns on their way to a batch.
#[derive(Debug)]
pub struct PackedColumns {
    schema: SchemaRef,
    columns: Vec<Column>,
    rows: usize,
}

impl PackedColumns {
    /// No rows of these columns.
    ///
    /// # Errors
    /// `Corrupt` for a type that is never packed.
    pub fn new(schema: &SchemaRef) -> Result<Self> {
        if !schema.fields().iter().all(|field| is_packable(field.data_type())) {
            return Err(damaged());
        }
        let columns = schema.fields().iter().map(|field| Column::new(field.data_type())).collect();
        Ok(Self { schema: SchemaRef::clone(schema), columns, rows: 0 })
    }

    /// The columns they are of.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Adds rows.
    ///
    /// # Errors
    /// `Corrupt` when the bytes are not `rows` rows of the schema; the columns are of no use then.
    pub fn push(&mut self, bytes: &[u8], rows: usize) -> Result<()> {
        let mut cursor = Cursor::new(bytes);
        for column in &mut self.columns {
            column.push(&mut cursor, rows).ok_or_else(damaged)?;
        }
        self.rows += rows;
        if cursor.is_at_end() { Ok(()) } else { Err(damaged()) }
    }

    /// All rows that were added, which Arrow validates in full.
    ///
    /// # Errors
    /// `Corrupt` when it refuses them.
    pub fn finish(self) -> Result<RecordBatch> {
        let arrays: Option<Vec<ArrayRef>> =
            self.columns.into_iter().map(|column| column.finish(self.rows).map(make_array)).collect();
        record_batch(&self.schema, arrays.ok_or_else(damaged)?, self.rows).map_err(|_| damaged())
    }
}

#[derive(Debug)]
struct Column {
    data_type: DataType,
    nulls: NullBufferBuilder,
    values: Values,
}

#[derive(Debug)]
enum Values {
    /// Values of this many bytes.
    Fixed(usize, MutableBuffer),
    Flags(BooleanBufferBuilder),
    /// Ends of strings or binary, after a zero, and their bytes.
    Short(Vec<i32>, MutableBuffer),
    Long(Vec<i64>, MutableBuffer),
    Fields(Vec<Column>),
    /// Lists of this many items.
    Items(usize, Box<Column>),
}

impl Values {
    fn new(data_type: &DataType) -> Self {
        let bytes = MutableBuffer::new(0);
        let len = |len: i32| usize::try_from(len).unwrap_or_default();
        match data_type {
            DataType::Boolean => Self::Flags(BooleanBufferBuilder::new(0)),
            DataType::Utf8 | DataType::Binary => Self::Short(vec![0], bytes),
            DataType::LargeUtf8 | DataType::LargeBinary => Self::Long(vec![0], bytes),
            DataType::Struct(fields) => {
                Self::Fields(fields.iter().map(|field| Column::new(field.data_type())).collect())
            }
            DataType::FixedSizeList(item, items) => {
                Self::Items(len(*items), Box::new(Column::new(item.data_type())))
            }
            DataType::FixedSizeBinary(width) => Self::Fixed(len(*width), bytes),
            other => Self::Fixed(other.primitive_width().unwrap_or_default(), bytes),
        }
    }

    fn push(&mut self, cursor: &mut Cursor<'_>, rows: usize) -> Option<()> {
        match self {
            Self::Fixed(width, bytes) => bytes.extend_from_slice(cursor.bytes(rows.checked_mul(*width)?)?),
            Self::Flags(flags) => cursor.bytes(rows)?.iter().for_each(|byte| flags.append(*byte != 0)),
            Self::Short(ends, bytes) => push_bytes(cursor, rows, ends, bytes)?,
            Self::Long(ends, bytes) => push_bytes(cursor, rows, ends, bytes)?,
            Self::Fields(fields) => fields.iter_mut().try_for_each(|field| field.push(cursor, rows))?,
            Self::Items(len, items) => items.push(cursor, rows.checked_mul(*len)?)?,
        }
        Some(())
    }
}

impl Column {
    fn new(data_type: &DataType) -> Self {
        let nulls = NullBufferBuilder::new(0);
        Self { data_type: data_type.clone(), nulls, values: Values::new(data_type) }
    }

    fn push(&mut self, cursor: &mut Cursor<'_>, rows: usize) -> Option<()> {
        match cursor.bytes(1)?[0] {
            0 => self.nulls.append_n_non_nulls(rows),
            1 => {
                let bits = cursor.bytes(rows.div_ceil(8))?;
                (0..rows).for_each(|row| self.nulls.append(bits[row / 8] >> (row % 8) & 1 == 1));
            }
            _ => return None,
        }
        self.values.push(cursor, rows)
    }

    fn finish(mut self, rows: usize) -> Option<ArrayData> {
        let data = ArrayData::builder(self.data_type).len(rows).nulls(self.nulls.finish());
        let data = match self.values {
            Values::Fixed(_, bytes) => data.add_buffer(bytes.into()),
            Values::Flags(mut flags) => data.add_buffer(flags.finish().into_inner()),
            Values::Short(ends, bytes) => data.add_buffer(Buffer::from_vec(ends)).add_buffer(bytes.into()),
            Values::Long(ends, bytes) => data.add_buffer(Buffer::from_vec(ends)).add_buffer(bytes.into()),
            Values::Fields(fields) => {
                let fields = fields.into_iter().map(|field| field.finish(rows));
                data.child_data(fields.collect::<Option<_>>()?)
            }
            Values::Items(len, items) => data.add_child_data(items.finish(rows.checked_mul(len)?)?),
        };
        data.build().ok()
    }
}

/// Lengths, then bytes.
fn push_bytes<O: ArrowNativeType + TryFrom<usize>>(
    cursor: &mut Cursor<'_>,
    rows: usize,
    ends: &mut Vec<O>,
    bytes: &mut MutableBuffer,
) -> Option<()> {
    let mut total = 0usize;
    for _ in 0..rows {
        total = total.checked_add(cursor.u32()? as usize)?;
        ends.push(O::try_from(bytes.len().checked_add(total)?).ok()?);
    }
    bytes.extend_from_slice(cursor.bytes(total)?);
    Some(())
}

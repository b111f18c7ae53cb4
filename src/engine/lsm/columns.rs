//! A file's columns as a table's present columns: found by column id, filled in where the file is older.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, BooleanBufferBuilder, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::take;
use arrow::datatypes::{Schema, SchemaRef};
use roaring::RoaringBitmap;

use crate::common::Result;
use crate::format::table::{ColumnDef, TableDef, record_batch};
use crate::sstable::SstReader;

/// Columns `columns` of batch `i`, in the table's present types and names.
///
/// # Errors
/// When the file cannot be read.
pub fn read_columns(
    table: &TableDef,
    reader: &SstReader,
    i: usize,
    columns: &[usize],
) -> Result<RecordBatch> {
    // A mapping of a file that somebody cut short must not be touched.
    reader.check_len()?;
    let rows = reader.batch_rows(i);
    let arrays = read_arrays(table, reader, i, columns)?;
    record_batch(&projected(table, columns), arrays, (rows.end - rows.start) as usize)
}

/// As [`read_columns`], bare, for a caller that has just asked for the file's length.
///
/// # Errors
/// As [`read_columns`].
pub fn read_arrays(
    table: &TableDef,
    reader: &SstReader,
    i: usize,
    columns: &[usize],
) -> Result<Vec<ArrayRef>> {
    let kept = |&column: &usize| reader.kept_column(i, reader.column_index(table.columns[column].id)?);
    if let Some(kept) = columns.iter().map(kept).collect() {
        return Ok(kept);
    }
    let places: Vec<Option<usize>> =
        columns.iter().map(|&column| reader.column_index(table.columns[column].id)).collect();
    let held: Vec<usize> = places.iter().flatten().copied().collect();
    let held = reader.read_columns(i, &held)?;
    if held.len() == columns.len() {
        return Ok(held);
    }
    let (mut held, rows) = (held.into_iter(), reader.batch_rows(i));
    let rows = (rows.end - rows.start) as usize;
    let array = |(&column, place): (&usize, &Option<usize>)| match place.and_then(|_| held.next()) {
        Some(values) => Ok(values),
        None => fill(&table.columns[column], rows),
    };
    columns.iter().zip(&places).map(array).collect()
}

/// The table's schema cut down to `columns`.
#[must_use]
pub fn projected(table: &TableDef, columns: &[usize]) -> SchemaRef {
    let schema = table.schema();
    if columns.len() == schema.fields().len() && columns.iter().enumerate().all(|(i, &column)| i == column) {
        return schema;
    }
    Arc::new(Schema::new(
        columns.iter().map(|&column| Arc::clone(&table.columns[column].field)).collect::<Vec<_>>(),
    ))
}

/// What rows hold that were written before the column was there.
fn fill(column: &ColumnDef, rows: usize) -> Result<ArrayRef> {
    match &column.fill {
        Some(value) => Ok(take(value, &UInt32Array::from(vec![0; rows]), None)?),
        None => Ok(new_null_array(column.field.data_type(), rows)),
    }
}

/// `None` when every row of the range is live.
pub fn live_rows(rows: std::ops::Range<u64>, deletes: &RoaringBitmap) -> Option<BooleanArray> {
    let (start, end) = (rows.start as u32, rows.end as u32);
    if deletes.range_cardinality(start..end) == 0 {
        return None;
    }
    let mut live = BooleanBufferBuilder::new((end - start) as usize);
    live.append_n((end - start) as usize, true);
    for row in deletes.range(start..end) {
        live.set_bit((row - start) as usize, false);
    }
    Some(BooleanArray::new(live.finish(), None))
}

//! A file's columns as a table's present columns: found by column id, filled in where the file is older.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, BooleanBufferBuilder, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::{filter_record_batch, take};
use arrow::datatypes::{Schema, SchemaRef};
use roaring::RoaringBitmap;

use crate::common::Result;
use crate::format::table::{ColumnDef, TableDef, record_batch};
use crate::sstable::{SstReader, StoredColumn};

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

/// As [`read_columns`], the rows of `live` only (all for `None`); large values of other rows are not read.
///
/// # Errors
/// As [`read_columns`].
pub fn read_live(
    table: &TableDef,
    reader: &SstReader,
    i: usize,
    columns: &[usize],
    live: Option<&BooleanArray>,
) -> Result<RecordBatch> {
    reader.check_len()?;
    let rows = reader.batch_rows(i);
    let stored = read_stored(table, reader, i, columns)?;
    let (schema, all) = (projected(table, columns), (rows.end - rows.start) as usize);
    let Some(live) = live else {
        let arrays = stored.iter().map(|column| column.resolve(reader.blobs(), None));
        return record_batch(&schema, arrays.collect::<Result<_>>()?, all);
    };
    if stored.iter().all(|column| column.refs.is_none()) {
        // The mask is looked at once for all columns.
        let arrays = stored.into_iter().map(|column| column.values).collect();
        return Ok(filter_record_batch(&record_batch(&schema, arrays, all)?, live)?);
    }
    let arrays = stored.iter().map(|column| column.filter(live)?.resolve(reader.blobs(), None));
    record_batch(&schema, arrays.collect::<Result<_>>()?, live.true_count())
}

/// As [`read_columns`] with all rows in their places; of those outside `live` (none for `None`), large values may be cut.
///
/// # Errors
/// As [`read_columns`].
pub fn read_around(
    table: &TableDef,
    reader: &SstReader,
    i: usize,
    columns: &[usize],
    live: Option<&BooleanArray>,
) -> Result<RecordBatch> {
    reader.check_len()?;
    let rows = reader.batch_rows(i);
    let stored = read_stored(table, reader, i, columns)?;
    let arrays = stored.iter().map(|column| column.resolve(reader.blobs(), live)).collect::<Result<_>>()?;
    record_batch(&projected(table, columns), arrays, (rows.end - rows.start) as usize)
}

/// Columns of one row of batch `i`, the row alone where a column may have large values elsewhere; and its place in them.
///
/// # Errors
/// As [`read_columns`].
pub fn read_row(
    table: &TableDef,
    reader: &SstReader,
    i: usize,
    columns: &[usize],
    index: usize,
) -> Result<(Vec<ArrayRef>, usize)> {
    if reader.blobs().is_empty() {
        return Ok((read_arrays(table, reader, i, columns)?, index));
    }
    let stored = read_stored(table, reader, i, columns)?;
    let cell = |column: &StoredColumn| column.slice(index, 1).resolve(reader.blobs(), None);
    Ok((stored.iter().map(cell).collect::<Result<_>>()?, 0))
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
    let stored = read_stored(table, reader, i, columns)?;
    stored.iter().map(|column| column.resolve(reader.blobs(), None)).collect()
}

/// As [`read_arrays`], large values left where they lie.
///
/// # Errors
/// As [`read_columns`].
pub fn read_stored(
    table: &TableDef,
    reader: &SstReader,
    i: usize,
    columns: &[usize],
) -> Result<Vec<StoredColumn>> {
    let places: Vec<Option<usize>> =
        columns.iter().map(|&column| reader.column_index(table.columns[column].id)).collect();
    let held: Vec<usize> = places.iter().flatten().copied().collect();
    let held = reader.stored_columns(i, &held)?;
    if held.len() == columns.len() {
        return Ok(held);
    }
    let (mut held, rows) = (held.into_iter(), reader.batch_rows(i));
    let rows = (rows.end - rows.start) as usize;
    let array = |(&column, place): (&usize, &Option<usize>)| match place.and_then(|_| held.next()) {
        Some(values) => Ok(values),
        None => fill(&table.columns[column], rows).map(StoredColumn::plain),
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

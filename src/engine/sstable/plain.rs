//! Batches in the shape that is stored: no dictionaries, and string views that own only what they show.
//!
//! An IPC file may hold one dictionary per column, fixed before the first batch, which a stream of
//! batches from different sources cannot promise; so dictionary columns are stored as their values.

use std::sync::Arc;

use arrow::array::{Array, ArrayData, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, make_array};
use arrow::compute::{can_cast_types, cast};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};

use crate::common::{Error, Result};

/// Deepest nesting that a reader's checks still follow.
const DEPTH_MAX: usize = 24;

/// The schema a file is written with.
pub(super) fn plain_schema(schema: &Schema) -> Result<Schema> {
    let plain = |field: &FieldRef| {
        let stored = plain_field(field, 0)?;
        if can_cast_types(field.data_type(), stored.data_type()) {
            Ok(stored)
        } else {
            let why = format!("its type {} cannot be stored", field.data_type());
            Err(Error::invalid(format!("column {:?}", field.name()), why))
        }
    };
    Ok(Schema::new(schema.fields().iter().map(plain).collect::<Result<Vec<_>>>()?))
}

fn plain_field(field: &FieldRef, depth: usize) -> Result<FieldRef> {
    if depth > DEPTH_MAX {
        let (what, got) = (format!("nesting of column {:?}", field.name()), depth as u64);
        return Err(Error::Limit { what, got, max: DEPTH_MAX as u64 });
    }
    let inner = |field: &FieldRef| plain_field(field, depth + 1);
    let data_type = match field.data_type() {
        DataType::Dictionary(_, values) => {
            let values: FieldRef = Arc::new(Field::new("", values.as_ref().clone(), true));
            inner(&values)?.data_type().clone()
        }
        DataType::List(item) => DataType::List(inner(item)?),
        DataType::LargeList(item) => DataType::LargeList(inner(item)?),
        DataType::ListView(item) => DataType::ListView(inner(item)?),
        DataType::LargeListView(item) => DataType::LargeListView(inner(item)?),
        DataType::FixedSizeList(item, len) => DataType::FixedSizeList(inner(item)?, *len),
        DataType::Map(entries, sorted) => DataType::Map(inner(entries)?, *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect::<Result<_>>()?),
        other => other.clone(),
    };
    Ok(Arc::new(field.as_ref().clone().with_data_type(data_type)))
}

/// The batch with the columns of `schema`, which [`plain_schema`] made.
pub(super) fn plain_batch(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    if batch.num_columns() != schema.fields().len() {
        let (got, wanted) = (batch.num_columns(), schema.fields().len());
        return Err(Error::Internal(format!("a batch of {got} columns for an SSTable of {wanted}")));
    }
    let stored = |(column, field): (&ArrayRef, &FieldRef)| {
        if column.data_type() == field.data_type() {
            Ok(Arc::clone(column))
        } else {
            cast(column, field.data_type())
        }
    };
    let columns = batch.columns().iter().zip(schema.fields()).map(stored).collect::<Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

/// Drops the bytes that no view of the batch shows.
pub(super) fn compact(batch: &RecordBatch) -> Result<RecordBatch> {
    if !batch.schema_ref().fields().iter().any(|field| has_views(field.data_type())) {
        return Ok(batch.clone());
    }
    let columns = batch.columns().iter().map(compact_array).collect::<Result<_>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(batch.schema(), columns, &options)?)
}

fn has_views(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8View | DataType::BinaryView => true,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => has_views(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_views(field.data_type())),
        _ => false,
    }
}

fn compact_array(array: &ArrayRef) -> Result<ArrayRef> {
    match array.data_type() {
        DataType::Utf8View => Ok(Arc::new(array.as_string_view().gc())),
        DataType::BinaryView => Ok(Arc::new(array.as_binary_view().gc())),
        other if has_views(other) => Ok(make_array(compact_children(array.to_data())?)),
        _ => Ok(Arc::clone(array)),
    }
}

fn compact_children(data: ArrayData) -> Result<ArrayData> {
    let compacted = |child: &ArrayData| Ok(compact_array(&make_array(child.clone()))?.into_data());
    let children = data.child_data().iter().map(compacted).collect::<Result<_>>()?;
    Ok(data.into_builder().child_data(children).build()?)
}

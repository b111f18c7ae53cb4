//! Data on its way in: whatever holds rows in Python, as a stream of Arrow batches.
//!
//! Arrow data (pyarrow, polars, pandas, duckdb, our own results) comes in through the PyCapsule protocol
//! without a copy. Lists of dicts and dicts of columns are built by [`crate::values`]. Memory that its
//! owner may still write to, numpy's and that of pandas, is copied once: a commit must not change when
//! an array does.

pub(crate) mod column;
mod columns;
mod for_table;
mod iterator;
mod records;
mod source;
mod table_schema;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::{cast_with_options, concat};
use arrow::datatypes::{DataType, Field, SchemaRef};
use pyo3::prelude::*;

pub(crate) use for_table::{for_table, stored};
pub(crate) use source::{Source, source};
pub(crate) use table_schema::table_schema;

use crate::error::{from_arrow, invalid};
use crate::values::build::STRICT;

/// Metadata key that makes a fixed-size list of floats a vector column, and a list of those one of lists of vectors.
const VECTOR_KEY: &str = "trilith:vector";

/// A column of vectors of `width` float32 elements.
pub(crate) fn vector_field(name: &str, width: i32, nullable: bool) -> Field {
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    let metadata = HashMap::from([(VECTOR_KEY.to_owned(), String::new())]);
    Field::new(name, DataType::FixedSizeList(item, width), nullable).with_metadata(metadata)
}

/// A column of lists of such vectors.
pub(crate) fn vector_list_field(name: &str, width: i32, nullable: bool) -> Field {
    let vector = vector_field("item", width, true);
    let item = Arc::new(Field::new("item", vector.data_type().clone(), true));
    Field::new(name, DataType::List(item), nullable).with_metadata(vector.metadata().clone())
}

/// `batch` in memory of its own.
fn owned(batch: &RecordBatch) -> PyResult<RecordBatch> {
    let copy = |array: &arrow::array::ArrayRef| concat(&[array.as_ref(), array.slice(0, 0).as_ref()]);
    let columns = batch.columns().iter().map(copy).collect::<Result<Vec<_>, _>>().map_err(from_arrow)?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(batch.schema(), columns, &options).map_err(from_arrow)
}

/// `batch` with the columns of `schema`, in that order: missing ones are null, types are cast without loss.
fn conform(batch: &RecordBatch, schema: &SchemaRef) -> PyResult<RecordBatch> {
    if batch.schema_ref() == schema {
        return Ok(batch.clone());
    }
    if let Some(extra) =
        batch.schema_ref().fields().iter().find(|field| schema.fields().find(field.name()).is_none())
    {
        return Err(invalid(format!("column {:?} is in a later batch and not in the first", extra.name())));
    }
    let column = |field: &Arc<Field>| match batch.column_by_name(field.name()) {
        None => Ok(new_null_array(field.data_type(), batch.num_rows())),
        Some(array) if array.data_type() == field.data_type() => Ok(array.clone()),
        Some(array) => cast_with_options(array, field.data_type(), &STRICT)
            .map_err(|why| invalid(format!("column {:?}: {why}", field.name()))),
    };
    let columns = schema.fields().iter().map(column).collect::<PyResult<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options).map_err(from_arrow)
}

//! Batches made to fit a table where the engine cannot: columns of documents.
//!
//! Text is JSON, as it is in SQL; anything else becomes a Variant value by its type. All other columns
//! pass as they are: the engine checks and casts them for every door alike.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::{cast, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet_variant_compute::{cast_to_variant, json_to_variant};
use pyo3::prelude::*;
use trilith::types::is_variant;

use crate::error::{from_arrow, invalid};
use crate::values::build::STRICT;

/// `batch` with its document columns as the columns of `table` hold them.
pub(crate) fn for_table(batch: &RecordBatch, table: &SchemaRef) -> PyResult<RecordBatch> {
    if !table.fields().iter().any(|field| is_variant(field)) {
        return Ok(batch.clone());
    }
    let mut fields = Vec::with_capacity(batch.num_columns());
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        let target = table.fields().find(field.name()).map(|(_, target)| target);
        match target.filter(|target| is_variant(target)) {
            Some(target) => {
                columns.push(documents(field, array, target)?);
                fields.push(target.clone());
            }
            None => {
                columns.push(array.clone());
                fields.push(field.clone());
            }
        }
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options).map_err(from_arrow)
}

fn documents(field: &Field, array: &ArrayRef, target: &Field) -> PyResult<ArrayRef> {
    if is_variant(field) {
        return stored(array.clone(), target);
    }
    let values = match array.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let text = cast(array, &DataType::Utf8).map_err(from_arrow)?;
            json_to_variant(&text)
        }
        _ => cast_to_variant(array.as_ref()),
    };
    let values = values.map_err(|why| invalid(format!("column {:?}: {why}", field.name())))?;
    stored(Arc::new(values.into_inner()), target)
}

/// Variant values in the physical type of `target`.
pub(crate) fn stored(array: ArrayRef, target: &Field) -> PyResult<ArrayRef> {
    match array.data_type() == target.data_type() {
        true => Ok(array),
        false => cast_with_options(&array, target.data_type(), &STRICT).map_err(from_arrow),
    }
}

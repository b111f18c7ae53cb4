//! Columns as people read them: documents as JSON, other nested values as text.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, RecordBatch, StringBuilder};
use datafusion::arrow::datatypes::{Field, FieldRef, Schema};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use trilith_udfs::document::{is_variant, variant_to_json};

use crate::error::Result;

/// The batch with documents and nested values as text.
pub(super) fn readable(batch: &RecordBatch) -> Result<RecordBatch> {
    let columns = batch.schema_ref().fields().iter().zip(batch.columns());
    let (fields, arrays): (Vec<FieldRef>, Vec<ArrayRef>) =
        columns.map(|(field, array)| column(field, array)).collect::<Result<Vec<_>>>()?.into_iter().unzip();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
}

fn column(field: &FieldRef, array: &ArrayRef) -> Result<(FieldRef, ArrayRef)> {
    let text = match field.data_type() {
        variant if is_variant(variant) => variant_to_json(array.as_struct())?,
        nested if nested.is_nested() => texts(array)?,
        _ => return Ok((Arc::clone(field), Arc::clone(array))),
    };
    Ok((Arc::new(Field::new(field.name(), text.data_type().clone(), true)), text))
}

fn texts(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(array, &options)?;
    let mut texts = StringBuilder::new();
    for row in 0..array.len() {
        match array.is_null(row) {
            true => texts.append_null(),
            false => texts.append_value(formatter.value(row).try_to_string()?),
        }
    }
    Ok(Arc::new(texts.finish()))
}

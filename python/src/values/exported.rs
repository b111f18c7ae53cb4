//! Results as other libraries should see them.
//!
//! Variant columns leave as JSON text under Arrow's canonical extension `arrow.json`: no other library
//! reads the binary form yet, and the text goes back into a Variant column unharmed. Everything else
//! leaves as it is, without a copy.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use pyo3::prelude::*;

use super::variant;
use crate::error::from_arrow;

/// Metadata key of Arrow's extension types.
pub(crate) const EXTENSION_NAME: &str = "ARROW:extension:name";
/// Arrow's canonical extension for JSON text.
pub(crate) const JSON_EXTENSION: &str = "arrow.json";

/// The schema under which results of `schema` are handed over.
pub(crate) fn schema(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| match variant::is_variant(field) {
        true => Arc::new(json_field(field)),
        false => field.clone(),
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
}

fn json_field(field: &Field) -> Field {
    let metadata = HashMap::from([(EXTENSION_NAME.to_owned(), JSON_EXTENSION.to_owned())]);
    Field::new(field.name(), DataType::Utf8, field.is_nullable()).with_metadata(metadata)
}

/// `batch` under the schema that [`schema`] gave for it.
pub(crate) fn batch(batch: &RecordBatch, exported: &SchemaRef) -> PyResult<RecordBatch> {
    let columns = variant::to_json_columns(batch).map_err(from_arrow)?;
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(exported.clone(), columns, &options).map_err(from_arrow)
}

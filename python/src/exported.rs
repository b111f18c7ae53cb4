//! Results as other libraries see them.
//!
//! Variant columns leave as JSON text under Arrow's canonical extension `arrow.json`: no other library
//! reads the binary form yet, and the text goes back into a Variant column unharmed. Everything else
//! leaves as it is, without a copy.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, RecordBatchReader, StructArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyTuple};
use pyo3_arrow::ffi::{ArrayIterator, to_array_pycapsules, to_stream_pycapsule};
use trilith::types::is_variant;

use crate::error::from_arrow;
use crate::values::variant::to_json_columns;

/// Metadata key of Arrow's extension types.
pub(crate) const EXTENSION_NAME: &str = "ARROW:extension:name";
/// Arrow's canonical extension for JSON text.
pub(crate) const JSON_EXTENSION: &str = "arrow.json";

/// The schema under which results of `schema` are handed over.
pub(crate) fn exported_schema(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| match is_variant(field) {
        true => Arc::new(json_field(field)),
        false => field.clone(),
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
}

fn json_field(field: &Field) -> Field {
    let metadata = HashMap::from([(EXTENSION_NAME.to_owned(), JSON_EXTENSION.to_owned())]);
    Field::new(field.name(), DataType::Utf8, field.is_nullable()).with_metadata(metadata)
}

fn exported(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), to_json_columns(batch)?, &options)
}

/// The Arrow C stream of `reader`.
pub(crate) fn export_stream<'py>(
    py: Python<'py>,
    reader: Box<dyn RecordBatchReader + Send>,
    requested_schema: Option<Bound<'py, PyCapsule>>,
) -> PyResult<Bound<'py, PyCapsule>> {
    let schema = exported_schema(&reader.schema());
    let field = Arc::new(row_field(&schema));
    let arrays =
        reader.map(move |batch| Ok(Arc::new(StructArray::from(exported(&batch?, &schema)?)) as ArrayRef));
    Ok(to_stream_pycapsule(py, Box::new(ArrayIterator::new(arrays, field)), requested_schema)?)
}

/// The Arrow C schema and array of `batch`.
pub(crate) fn export_batch<'py>(
    py: Python<'py>,
    batch: &RecordBatch,
    requested_schema: Option<Bound<'py, PyCapsule>>,
) -> PyResult<Bound<'py, PyTuple>> {
    let schema = exported_schema(batch.schema_ref());
    let rows = StructArray::from(exported(batch, &schema).map_err(from_arrow)?);
    Ok(to_array_pycapsules(py, Arc::new(row_field(&schema)), &rows, requested_schema)?)
}

fn row_field(schema: &Schema) -> Field {
    Field::new_struct("", schema.fields().clone(), false).with_metadata(schema.metadata().clone())
}

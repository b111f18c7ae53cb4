//! Rows of documents: each with its key, which is its `_id` as text.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray, StructArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet_variant::Variant;
use trilith_udfs::document::{Documents, VariantColumnBuilder, variant_field};

use crate::document::{ID, Value, key_of, with_id};
use crate::error::Result;

/// The column of documents.
pub(super) const DOC: &str = "doc";

/// The columns of a collection.
pub(super) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(ID, DataType::Utf8, false), variant_field(DOC, true)]))
}

/// Rows of keys and documents.
pub(super) fn batch(keys: StringArray, documents: StructArray) -> Result<RecordBatch> {
    let columns: Vec<ArrayRef> = vec![Arc::new(keys), Arc::new(documents)];
    Ok(RecordBatch::try_new(schema(), columns)?)
}

/// The rows of documents, each with an `_id`, and the `_id`s.
///
/// # Errors
/// `Invalid` for a document that is no object, or whose `_id` cannot be one.
pub(super) fn rows_of(documents: &StructArray) -> Result<(RecordBatch, Vec<Value>)> {
    let column: ArrayRef = Arc::new(documents.clone());
    let documents = Documents::new(&column)?;
    let (mut keys, mut ids) = (vec![], vec![]);
    let mut rows = VariantColumnBuilder::new(documents.len());
    for row in 0..documents.len() {
        let document = documents.get(row).unwrap_or(Variant::Null);
        let own = document.as_object().and_then(|fields| fields.get(ID));
        let (metadata, value) = match own {
            Some(_) => (documents.metadata(row).to_vec(), vec![]),
            None => with_id(Value::from_variant(&document))?.encode()?,
        };
        let document = if value.is_empty() { document } else { Variant::new(&metadata, &value) };
        let id = document.as_object().and_then(|fields| fields.get(ID)).unwrap_or(Variant::Null);
        keys.push(key_of(&id)?);
        ids.push(Value::from_variant(&id));
        rows.append(&metadata, document)?;
    }
    Ok((batch(StringArray::from(keys), rows.finish()?)?, ids))
}

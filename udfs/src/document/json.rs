//! JSON text to VARIANT and back: `parse_json(text)` and `to_json(document)`.
//!
//! The text itself is read in `parser`; this file is about columns of it.

use super::documents::Documents;
use super::function::{Call, DocumentFunction, Returns};
use super::parser::append_json;
use arrow::array::{ArrayRef, AsArray, StringBuilder, StructArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::ScalarUDF;
use parquet_variant_compute::{VariantArray, VariantArrayBuilder};
use parquet_variant_json::VariantToJson;
use std::sync::Arc;

/// `parse_json(text)`: the text as VARIANT.
pub fn parse_json_udf() -> ScalarUDF {
    DocumentFunction::udf("parse_json", &["json"], Returns::Variant, 1..=1, |call| call.variants(Some))
}

/// `to_json(document)`: the document as JSON text.
pub fn to_json_udf() -> ScalarUDF {
    DocumentFunction::udf(
        "to_json",
        &["variant_to_json"],
        Returns::Type(DataType::Utf8),
        1..=1,
        |call: &Call| json_text(call.documents()),
    )
}

/// A VARIANT column from JSON texts; `None` becomes a null document.
///
/// # Errors
/// If a text is not JSON; the message shows its head and where it breaks off.
pub fn variant_array_from_json<'a>(texts: impl IntoIterator<Item = Option<&'a str>>) -> Result<StructArray> {
    let mut builder = VariantArrayBuilder::new(0);
    for text in texts {
        match text {
            Some(text) => append_json(text, &mut builder)?,
            None => builder.append_null(),
        }
    }
    in_our_layout(&builder.build())
}

/// A VARIANT column from a column of JSON text of any string type.
pub(super) fn variant_array_from_text(texts: &ArrayRef) -> Result<StructArray> {
    variant_array_from_json(cast(texts, &DataType::Utf8View)?.as_string_view())
}

/// The same column with the physical layout of [`super::variant_data_type`].
pub(super) fn in_our_layout(array: &VariantArray) -> Result<StructArray> {
    let column = |column: &ArrayRef| cast(column, &DataType::Binary);
    let columns = vec![column(array.metadata_column())?, column(array.value_column())?];
    Ok(StructArray::try_new(super::layout::variant_children(), columns, array.nulls().cloned())?)
}

/// The JSON text of each document of a VARIANT column; a null document stays null.
///
/// # Errors
/// If the column is no VARIANT, or a document cannot be written as JSON.
pub fn variant_to_json(array: &StructArray) -> Result<ArrayRef> {
    json_text(&Documents::new(&(Arc::new(array.clone()) as ArrayRef))?)
}

fn json_text(documents: &Documents) -> Result<ArrayRef> {
    let mut texts = StringBuilder::new();
    for row in 0..documents.len() {
        match documents.get(row) {
            Some(document) => texts.append_value(document.to_json_string()?),
            None => texts.append_null(),
        }
    }
    Ok(Arc::new(texts.finish()))
}

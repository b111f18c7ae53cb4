//! JSON text to VARIANT and back: `parse_json(text)` and `to_json(document)`.
//!
//! Integers beyond 64 bits signed become decimals while they fit in 38 digits, other numbers
//! doubles. Of a key that occurs twice the last value stays. Nesting deeper than 128 is refused.

use super::documents::Documents;
use super::function::{Call, DocumentFunction, Returns};
use arrow::array::{ArrayRef, AsArray, StringBuilder, StructArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::logical_expr::ScalarUDF;
use parquet_variant::{ObjectFieldBuilder, Variant, VariantBuilderExt, VariantDecimal16};
use parquet_variant_compute::{VariantArray, VariantArrayBuilder};
use parquet_variant_json::VariantToJson;
use serde_json::{Number, Value};
use std::sync::Arc;

/// `parse_json(text)`: the text as VARIANT.
pub(super) fn parse_json() -> ScalarUDF {
    DocumentFunction::udf("parse_json", &["json"], Returns::Variant, 1..=1, |call| call.variants(Some))
}

/// `to_json(document)`: the document as JSON text.
pub(super) fn to_json() -> ScalarUDF {
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
            Some(text) => append_json(&parse(text)?, &mut builder)?,
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

fn parse(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| {
        let head: String = text.chars().take(60).collect();
        exec_datafusion_err!("invalid JSON '{head}': {error}")
    })
}

/// Appends a JSON value to any variant builder.
///
/// # Errors
/// If the builder refuses the value, or a number is none that a VARIANT can hold.
pub fn append_json(json: &Value, builder: &mut impl VariantBuilderExt) -> Result<(), ArrowError> {
    match json {
        Value::Null => builder.append_value(Variant::Null),
        Value::Bool(boolean) => builder.append_value(*boolean),
        Value::Number(number) => builder.append_value(number_value(number)?),
        Value::String(string) => builder.append_value(string.as_str()),
        Value::Array(items) => {
            let mut list = builder.try_new_list()?;
            for item in items {
                append_json(item, &mut list)?;
            }
            list.finish();
        }
        Value::Object(fields) => {
            let mut object = builder.try_new_object()?;
            for (name, value) in fields {
                append_json(value, &mut ObjectFieldBuilder::new(name, &mut object))?;
            }
            object.finish();
        }
    }
    Ok(())
}

/// The narrowest integer that holds the number, or a decimal, or a double.
fn number_value(number: &Number) -> Result<Variant<'static, 'static>, ArrowError> {
    if let Some(integer) = number.as_i64() {
        return Ok(i8::try_from(integer)
            .map(Variant::from)
            .or_else(|_| i16::try_from(integer).map(Variant::from))
            .or_else(|_| i32::try_from(integer).map(Variant::from))
            .unwrap_or_else(|_| Variant::from(integer)));
    }
    if let Some(integer) = number.as_u64() {
        return Ok(VariantDecimal16::try_new(i128::from(integer), 0)?.into());
    }
    let double = number
        .as_f64()
        .ok_or_else(|| ArrowError::ParseError(format!("{number} is no number a VARIANT can hold")))?;
    Ok(double.into())
}

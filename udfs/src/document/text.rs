//! A variant as the text that `->>` gives.

use arrow::error::ArrowError;
use parquet_variant::Variant;
use parquet_variant_json::VariantToJson;

/// The bare string, the JSON text of another value, or nothing for JSON null.
pub(super) fn as_text(value: &Variant<'_, '_>) -> Result<Option<String>, ArrowError> {
    match value {
        Variant::Null => Ok(None),
        Variant::String(string) => Ok(Some((*string).to_string())),
        Variant::ShortString(string) => Ok(Some(string.as_str().to_string())),
        other => other.to_json_string().map(Some),
    }
}

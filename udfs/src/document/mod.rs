//! Documents in SQL: functions over `VARIANT` columns and JSON text.
//!
//! [`layout`] is the home of what a VARIANT column looks like; [`variant_array_from_json`] and
//! [`variant_to_json`] turn text into such a column and back. Functions take either form: text is
//! parsed once per batch. A missing field is SQL NULL; a JSON null is a value of its own until it
//! is read as text or a number.

mod column;
mod contains;
mod documents;
mod function;
mod get;
mod json;
mod keys;
pub mod layout;
mod measure;
mod parser;
mod scalar;
mod text;
mod to_variant;
mod typed;

#[cfg(test)]
mod tests;

pub use column::VariantColumnBuilder;
pub use contains::json_contains;
pub use documents::Documents;
pub use function::DocumentFunction;
pub use get::{json_as_text, json_get};
pub use json::{variant_array_from_json, variant_to_json};
pub use layout::{is_variant, variant_data_type, variant_field};
pub use parser::append_json;

use datafusion::logical_expr::ScalarUDF;

/// Every document function.
pub fn all() -> Vec<ScalarUDF> {
    vec![
        json::parse_json(),
        json::to_json(),
        to_variant::to_variant(),
        typed::variant_get(),
        json_get(),
        json_as_text(),
        scalar::json_get_int(),
        scalar::json_get_float(),
        scalar::json_get_bool(),
        scalar::json_get_str(),
        measure::json_length(),
        measure::json_keys(),
        measure::variant_typeof(),
        json_contains(),
    ]
}

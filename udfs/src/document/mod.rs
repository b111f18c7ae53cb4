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
pub use contains::json_contains_udf;
pub use documents::Documents;
pub use function::{DocumentFunction, guarded};
pub use get::{json_as_text_udf, json_get_udf};
pub use json::{parse_json_udf, to_json_udf, variant_array_from_json, variant_to_json};
pub use layout::{is_variant, is_variant_field, variant_data_type, variant_field};
pub use parser::append_json;
pub use scalar::{json_get_bool_udf, json_get_float_udf, json_get_int_udf, json_get_str_udf};
pub use to_variant::to_variant_udf;
pub use typed::variant_get_udf;

use datafusion::logical_expr::ScalarUDF;

/// Every document function.
pub fn all() -> Vec<ScalarUDF> {
    vec![
        parse_json_udf(),
        to_json_udf(),
        to_variant_udf(),
        variant_get_udf(),
        json_get_udf(),
        json_as_text_udf(),
        json_get_int_udf(),
        json_get_float_udf(),
        json_get_bool_udf(),
        json_get_str_udf(),
        measure::json_length_udf(),
        measure::json_keys_udf(),
        measure::variant_typeof_udf(),
        json_contains_udf(),
    ]
}

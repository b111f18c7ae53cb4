//! `json_get(document, key, ...)` and `json_as_text(...)`: what `->` and `->>` are.
//!
//! Both take any number of keys, so that a chain of operators is one call that builds no value
//! in between.

use super::function::{DocumentFunction, Returns};
use super::text::as_text;
use arrow::array::StringBuilder;
use arrow::datatypes::DataType;
use datafusion::logical_expr::ScalarUDF;
use std::sync::Arc;

/// `json_get(document, key, ...)`: the value the keys lead to, as VARIANT.
pub fn json_get_udf() -> ScalarUDF {
    DocumentFunction::udf("json_get", &[], Returns::Variant, 1..=usize::MAX, |call| call.variants(Some))
}

/// `json_as_text(document, key, ...)`: the value the keys lead to, as text.
///
/// A string is bare, anything else is JSON text; a missing value and a JSON null are NULL.
pub fn json_as_text_udf() -> ScalarUDF {
    let returns = Returns::Type(DataType::Utf8);
    DocumentFunction::udf("json_as_text", &["json_get_text"], returns, 1..=usize::MAX, |call| {
        let mut texts = StringBuilder::new();
        for value in call.values() {
            texts.append_option(value.map(|value| as_text(&value)).transpose()?.flatten());
        }
        Ok(Arc::new(texts.finish()))
    })
}

//! Vectors written as text, pgvector's form: `'[1, 2.5, 3]'`.

use arrow::array::{ArrayRef, AsArray, Float64Builder, ListBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};
use std::sync::Arc;

/// A list of `Float64` for each text.
///
/// # Errors
/// If a text is not a bracketed list of numbers.
pub(super) fn parse(function: &str, texts: &ArrayRef) -> Result<ArrayRef> {
    let texts = cast(texts, &DataType::Utf8View)?;
    let mut vectors = ListBuilder::new(Float64Builder::new());
    for text in texts.as_string_view() {
        match text {
            Some(text) => {
                append(function, text, vectors.values())?;
                vectors.append(true);
            }
            None => vectors.append(false),
        }
    }
    Ok(Arc::new(vectors.finish()))
}

fn append(function: &str, text: &str, components: &mut Float64Builder) -> Result<()> {
    let Some(inside) = text.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else {
        return exec_err!("{function}: '{}' is no vector; write it as '[1, 2, 3]'", shown(text));
    };
    if inside.trim().is_empty() {
        return Ok(());
    }
    for component in inside.split(',') {
        match component.trim().parse::<f64>() {
            Ok(number) => components.append_value(number),
            Err(_) => {
                return exec_err!(
                    "{function}: '{}' is not a number, in the vector '{}'",
                    shown(component.trim()),
                    shown(text)
                );
            }
        }
    }
    Ok(())
}

/// The head of a text, for a message.
fn shown(text: &str) -> &str {
    let end = text.char_indices().nth(60).map_or(text.len(), |(at, _)| at);
    &text[..end]
}

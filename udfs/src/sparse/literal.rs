//! Sparse vectors written as text, pgvector's form: `'{1:0.5, 7:1.2}'`, with or without `/length` behind it.

use arrow::array::{ArrayRef, AsArray};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};

use super::SparseRows;

/// A sparse vector for each text; rows may be out of order.
///
/// # Errors
/// If a text is none.
pub(super) fn parse(function: &str, texts: &ArrayRef) -> Result<ArrayRef> {
    let texts = cast(texts, &DataType::Utf8View)?;
    let (mut indices, mut values, mut lengths, mut valid) = (vec![], vec![], vec![], vec![]);
    for text in texts.as_string_view() {
        let before = indices.len();
        if let Some(text) = text {
            append(function, text, &mut indices, &mut values)?;
        }
        lengths.push(indices.len() - before);
        valid.push(text.is_some());
    }
    let nulls = Some(NullBuffer::from(valid)).filter(|nulls| nulls.null_count() > 0);
    Ok(SparseRows::assemble(indices, values, lengths, nulls).into_array())
}

fn append(function: &str, text: &str, indices: &mut Vec<u32>, values: &mut Vec<f32>) -> Result<()> {
    let wrong = |what: &str| {
        let shown: String = text.chars().take(60).collect();
        exec_err!("{function}: '{shown}' is no sparse vector: {what}; write it as '{{1:0.5, 7:1.2}}'")
    };
    let (pairs, length) = match text.trim().rsplit_once('/') {
        Some((pairs, length)) => (pairs.trim(), Some(length.trim())),
        None => (text.trim(), None),
    };
    let Some(inside) = pairs.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
        return wrong("it has no braces");
    };
    for pair in inside.split(',').filter(|pair| !pair.trim().is_empty()) {
        let Some((index, value)) = pair.split_once(':') else { return wrong("a pair has no colon") };
        match (index.trim().parse::<u32>(), value.trim().parse::<f32>()) {
            (Ok(index), Ok(value)) if value.is_finite() => {
                indices.push(index);
                values.push(value);
            }
            _ => return wrong("a pair is not an index and a finite number"),
        }
    }
    match length.map(str::parse::<u64>) {
        Some(Err(_)) => wrong("its length is no number"),
        Some(Ok(length)) if indices.iter().any(|index| u64::from(*index) > length) => {
            wrong("an index is beyond its length")
        }
        _ => Ok(()),
    }
}

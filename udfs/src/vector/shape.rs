//! Which Arrow types are vectors, and what their types alone say about their length.

use arrow::datatypes::DataType;
use datafusion::common::{Result, plan_err};

/// Whether a column of this type holds vectors: a list of numbers.
pub fn is_vector(data_type: &DataType) -> bool {
    match data_type {
        DataType::FixedSizeList(item, _) | DataType::List(item) | DataType::LargeList(item) => {
            item.data_type().is_numeric() || item.data_type().is_null()
        }
        _ => false,
    }
}

/// Whether a column of this type holds lists of vectors.
pub fn is_multivector(data_type: &DataType) -> bool {
    match data_type {
        DataType::FixedSizeList(item, _) | DataType::List(item) | DataType::LargeList(item) => {
            is_vector(item.data_type())
        }
        _ => false,
    }
}

/// The number of components that the type of lists of vectors fixes.
pub(super) fn multivector_length(data_type: &DataType) -> Option<usize> {
    match data_type {
        DataType::FixedSizeList(item, _) | DataType::List(item) | DataType::LargeList(item) => {
            fixed_length(item.data_type())
        }
        _ => None,
    }
}

/// Whether a function over vectors takes an argument of this type.
fn is_accepted(data_type: &DataType) -> bool {
    is_vector(data_type) || is_text(data_type) || is_packed(data_type) || data_type.is_null()
}

/// Whether a value of this type may be the text of a vector.
pub(super) fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// Whether a value of this type is packed bits outside a list.
pub(super) fn is_packed(data_type: &DataType) -> bool {
    use DataType::{Binary, BinaryView, FixedSizeBinary, LargeBinary};
    matches!(data_type, Binary | LargeBinary | BinaryView | FixedSizeBinary(_))
}

/// The number of components that the type fixes.
pub(super) fn fixed_length(data_type: &DataType) -> Option<usize> {
    match data_type {
        DataType::FixedSizeList(_, length) | DataType::FixedSizeBinary(length) => {
            usize::try_from(*length).ok()
        }
        _ => None,
    }
}

/// Checks that `function` gets `count` vectors, of one length as far as types tell.
///
/// # Errors
/// A planning error that names the argument and its type, or both lengths.
pub(super) fn check(function: &str, types: &[DataType], count: usize) -> Result<()> {
    if types.len() != count {
        return plan_err!("{function} takes {count} vector argument(s), got {}", types.len());
    }
    for (index, data_type) in types.iter().enumerate() {
        if !is_accepted(data_type) {
            return plan_err!(
                "{function}: argument {} is of type {data_type}; give a vector: a list of numbers such as \
                 [0.1, 0.2], a VECTOR(n) column, or text such as '[0.1, 0.2]'",
                index + 1
            );
        }
    }
    let lengths: Vec<usize> = types.iter().filter_map(fixed_length).collect();
    match lengths[..] {
        [left, right] if left != right => plan_err!("{}", length_mismatch(function, left, right)),
        _ => Ok(()),
    }
}

/// The message for two vectors of different lengths.
pub(super) fn length_mismatch(function: &str, left: usize, right: usize) -> String {
    format!("{function}: both vectors must have the same length, got {left} and {right} components")
}

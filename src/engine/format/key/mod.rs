//! Memcomparable keys: the primary key of a row as bytes whose order is the order of the rows.
//!
//! Fixed-width columns are big-endian with the sign bit flipped (floats in total order, with -0 equal
//! to 0). A string or binary column is its raw bytes when it comes last and is escaped and terminated
//! otherwise, so a one-column key has no overhead at all. Keys have no nulls. `FORMAT.md`, section
//! "Keys", is the byte layout, and it is frozen: it lives in files, filters and deletion lists.

mod decode;
mod display;
mod encode;
mod fixed;
#[cfg(test)]
mod tests;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;

use crate::common::{Error, Result};
use crate::format::primitive::with_primitive;

pub(crate) use encode::value_bytes;
pub(crate) use fixed::FixedKey;

/// How one column is written into a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Layout {
    /// Always this many bytes.
    Fixed(usize),
    /// Any number of bytes.
    Variable,
}

/// Turns the key columns of a table into bytes and back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyCodec {
    types: Vec<DataType>,
    layouts: Vec<Layout>,
}

impl KeyCodec {
    /// Codec for a key of these columns, in this order.
    ///
    /// # Errors
    /// `Invalid` for no columns and for a type that cannot be a key.
    pub fn new(types: &[DataType]) -> Result<Self> {
        if types.is_empty() {
            return Err(Error::invalid("primary key", "it needs at least one column"));
        }
        let layouts = types.iter().map(layout_of).collect::<Result<_>>()?;
        Ok(Self { types: types.to_vec(), layouts })
    }

    /// Types of the key columns.
    #[must_use]
    pub fn types(&self) -> &[DataType] {
        &self.types
    }

    /// Bytes of every key, when all columns have a fixed width.
    #[must_use]
    pub fn fixed_len(&self) -> Option<usize> {
        self.layouts.iter().try_fold(0, |sum, layout| match layout {
            Layout::Fixed(len) => Some(sum + len),
            Layout::Variable => None,
        })
    }

    /// Number of rows, once the columns are known to be what this codec was made for.
    fn check(&self, columns: &[ArrayRef]) -> Result<usize> {
        if columns.len() != self.types.len() {
            let why = format!("it has {} columns, {} were given", self.types.len(), columns.len());
            return Err(Error::invalid("primary key", why));
        }
        let rows = columns[0].len();
        for (column, data_type) in columns.iter().zip(&self.types) {
            if !is_encoded_alike(column.data_type(), data_type) {
                let why = format!("the column is {data_type}, a value of {} was given", column.data_type());
                return Err(Error::invalid("primary key", why));
            }
            if column.logical_null_count() > 0 {
                return Err(Error::invalid("primary key", "a key column must not be null"));
            }
            if column.len() != rows {
                return Err(Error::invalid("primary key", "its columns have different lengths"));
            }
        }
        Ok(rows)
    }
}

fn layout_of(data_type: &DataType) -> Result<Layout> {
    with_primitive!(data_type, T => Ok(Layout::Fixed(<T as arrow::datatypes::ArrowPrimitiveType>::Native::WIDTH)), _ => match data_type {
        DataType::Boolean => Ok(Layout::Fixed(1)),
        DataType::FixedSizeBinary(len) => Ok(Layout::Fixed(usize::try_from(*len).unwrap_or(0))),
        other if is_text(other) || is_binary(other) => Ok(Layout::Variable),
        other => {
            let why = "use an integer, boolean, decimal, float, string, binary, date, time or timestamp column";
            Err(Error::invalid(format!("a primary key of type {other}"), why))
        }
    })
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn is_binary(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}

/// True when both types write the same bytes for the same value.
fn is_encoded_alike(a: &DataType, b: &DataType) -> bool {
    match (a, b) {
        // A timezone changes how an instant is shown, not which instant it is.
        (DataType::Timestamp(a, _), DataType::Timestamp(b, _)) => a == b,
        (DataType::Decimal128(_, a), DataType::Decimal128(_, b)) => a == b,
        (DataType::Decimal256(_, a), DataType::Decimal256(_, b)) => a == b,
        _ => a == b || (is_text(a) && is_text(b)) || (is_binary(a) && is_binary(b)),
    }
}

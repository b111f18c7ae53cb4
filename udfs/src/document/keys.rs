//! The steps into a document: field names and list positions.
//!
//! A step that does not fit the value (a name into a list, a position into an object) leads
//! nowhere, as in PostgreSQL. Positions count from 0, negative ones from the end.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::ColumnarValue;
use parquet_variant::Variant;

/// One step into a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key<'a> {
    /// The field of an object.
    Name(&'a str),
    /// The item of a list.
    Position(i64),
}

impl Key<'_> {
    /// The value one step below `value`.
    pub(super) fn step<'m, 'v>(&self, value: &Variant<'m, 'v>) -> Option<Variant<'m, 'v>> {
        match (self, value) {
            (Key::Name(name), Variant::Object(object)) => object.get(name),
            (Key::Position(position), Variant::List(list)) => {
                let from_end = if *position < 0 { i64::try_from(list.len()).ok()? } else { 0 };
                list.get(usize::try_from(position + from_end).ok()?)
            }
            _ => None,
        }
    }
}

/// One argument of keys: the same for every row, or one per row.
#[derive(Debug)]
pub(super) struct KeyColumn {
    keys: ArrayRef,
    constant: bool,
}

impl KeyColumn {
    /// Reads an argument as keys.
    pub(super) fn new(argument: &ColumnarValue) -> Result<Self> {
        let (keys, constant) = match argument {
            ColumnarValue::Scalar(key) => (key.to_array()?, true),
            ColumnarValue::Array(keys) => (keys.clone(), false),
        };
        let data_type = if keys.data_type().is_integer() { DataType::Int64 } else { DataType::Utf8View };
        Ok(Self { keys: cast(&keys, &data_type)?, constant })
    }

    /// The key of a row; a null key leads nowhere.
    pub(super) fn get(&self, row: usize) -> Option<Key<'_>> {
        let row = if self.constant { 0 } else { row };
        if self.keys.is_null(row) {
            return None;
        }
        match self.keys.data_type() {
            DataType::Int64 => Some(Key::Position(self.keys.as_primitive::<Int64Type>().value(row))),
            _ => Some(Key::Name(self.keys.as_string_view().value(row))),
        }
    }
}

/// Checks that an argument can be a key.
///
/// # Errors
/// A planning error that names the type.
pub(super) fn check(function: &str, data_type: &DataType) -> Result<()> {
    use DataType::{LargeUtf8, Null, Utf8, Utf8View};
    match data_type {
        Utf8 | LargeUtf8 | Utf8View | Null => Ok(()),
        integer if integer.is_integer() => Ok(()),
        other => {
            plan_err!("{function}: a key is a field name or a list position, not a value of type {other}")
        }
    }
}

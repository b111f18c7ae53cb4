//! Keys for people: the way SQL would write them.

use std::fmt::Write;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::encode::value_bytes;
use super::{KeyCodec, is_binary, is_text};

impl KeyCodec {
    /// The key as SQL would write it: `7`, `'a''b'`, `('a', 7)`; as hex when it does not decode.
    #[must_use]
    pub fn display(&self, key: &[u8]) -> String {
        let Ok(columns) = self.decode_one(key) else { return hex(key) };
        let mut values = columns.iter().map(literal).collect::<Vec<_>>();
        match values.len() {
            1 => values.remove(0),
            _ => format!("({})", values.join(", ")),
        }
    }
}

fn literal(column: &ArrayRef) -> String {
    let data_type = column.data_type();
    if is_binary(data_type) || matches!(data_type, DataType::FixedSizeBinary(_)) {
        return hex(value_bytes(column, 0));
    }
    let options = FormatOptions::default();
    let text = match ArrayFormatter::try_new(column, &options) {
        Ok(formatter) => formatter.value(0).to_string(),
        Err(_) => return format!("<{data_type}>"),
    };
    if is_text(data_type) || data_type.is_temporal() {
        format!("'{}'", text.replace('\'', "''"))
    } else {
        text
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::from("X'");
    for byte in bytes {
        // Writing to a string never fails.
        let _ = write!(text, "{byte:02X}");
    }
    text.push('\'');
    text
}

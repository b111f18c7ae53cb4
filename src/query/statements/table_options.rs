//! `WITH (name = value, ...)` of `CREATE TABLE` and `CREATE INDEX`, and `SET (...)` of `ALTER TABLE`: the options as text. What they mean,
//! and which there are, the engine says.

use datafusion::sql::sqlparser::ast::{CreateTableOptions, Expr, SqlOption, UnaryOperator, Value};
use trilith_engine::OptionTexts;

use super::target::folded;
use crate::error::{Error, Result};

/// The options of a `CREATE TABLE`.
pub(super) fn created(options: &CreateTableOptions) -> Result<OptionTexts> {
    match options {
        CreateTableOptions::None => Ok(OptionTexts::new()),
        CreateTableOptions::With(options) => texts(options),
        other => {
            Err(Error::unsupported(format!("CREATE TABLE ... {other}"), "write WITH (name = 'value', ...)"))
        }
    }
}

/// Options by name; the later of two of one name counts.
pub(super) fn texts(options: &[SqlOption]) -> Result<OptionTexts> {
    options.iter().map(text).collect()
}

fn text(option: &SqlOption) -> Result<(String, String)> {
    let refused = || Error::invalid(format!("option {option}"), "write name = 'value'");
    let SqlOption::KeyValue { key, value } = option else { return Err(refused()) };
    Ok((folded(key), value_text(value).ok_or_else(refused)?))
}

/// The value of an option; `None` for what is none.
pub(super) fn value_text(value: &Expr) -> Option<String> {
    match value {
        Expr::Identifier(ident) => Some(folded(ident)),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => Some(format!("-{}", value_text(expr)?)),
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => Some(text.clone()),
            Value::Number(number, _) => Some(number.to_string()),
            Value::Null => Some("none".to_owned()),
            _ => None,
        },
        _ => None,
    }
}

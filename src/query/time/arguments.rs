//! Arguments of the table functions: constants, or parameters, whose values are taken from the call because a table
//! function is asked for its columns before DataFusion puts parameters into plans.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{ParamValues, TableReference, plan_datafusion_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::scalar::ScalarValue;
use trilith_engine::{Error as EngineError, SeqNo, Snapshot, TableName, TableView};

use crate::error::external;
use crate::query::catalog::DEFAULT_SCHEMA;
use crate::query::connection::Pinned;

/// The database of a call, and its parameters.
pub(super) struct Call {
    pub pinned: Pinned,
    pub params: Option<ParamValues>,
}

impl Call {
    /// The value of an argument.
    pub(super) fn constant(&self, function: &str, what: &str, argument: &Expr) -> Result<ScalarValue> {
        match (argument, &self.params) {
            (Expr::Literal(value, _), _) => Ok(value.clone()),
            (Expr::Placeholder(placeholder), Some(params)) => {
                Ok(params.get_placeholders_with_values(&placeholder.id)?.value)
            }
            _ => plan_err!("{function}: the {what} must be a constant or a parameter, not {argument}"),
        }
    }

    pub(super) fn text(&self, function: &str, what: &str, argument: &Expr) -> Result<String> {
        let value = self.constant(function, what, argument)?;
        value.try_as_str().flatten().map(str::to_owned).ok_or_else(|| {
            plan_datafusion_err!("{function}: the {what} must be a text such as 'items', not {value}")
        })
    }

    pub(super) fn version(&self, function: &str, what: &str, argument: &Expr) -> Result<SeqNo> {
        version(function, what, &self.constant(function, what, argument)?)
    }
}

/// A version by its number.
pub(super) fn version(function: &str, what: &str, value: &ScalarValue) -> Result<SeqNo> {
    let whole = value.data_type().is_integer().then(|| value.cast_to(&DataType::UInt64));
    match whole {
        Some(Ok(ScalarValue::UInt64(Some(version)))) => Ok(SeqNo(version)),
        _ => plan_err!("{function}: the {what} must be a whole number, not {value}"),
    }
}

/// A moment, in milliseconds since 1970 UTC.
pub(super) fn millis(function: &str, value: &ScalarValue) -> Result<i64> {
    // Microseconds hold every moment that SQL writes, and round towards the past.
    match value.cast_to(&DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))) {
        Ok(ScalarValue::TimestampMicrosecond(Some(micros), _)) if !value.data_type().is_numeric() => {
            Ok(micros.div_euclid(1000))
        }
        _ => plan_err!("{function}: TIMESTAMP '2026-01-31 12:00:00' is a moment, {value} is not"),
    }
}

/// The table of a name: verbatim if there is one, else read as SQL reads names.
pub(super) fn find(snapshot: &Snapshot, name: &str) -> Result<TableView> {
    let parsed = TableReference::parse_str(name);
    let read = TableName::new(parsed.schema().unwrap_or(DEFAULT_SCHEMA), parsed.table());
    for candidate in [TableName::public(name), read] {
        match snapshot.table(&candidate) {
            Err(EngineError::NotFound { .. }) => {}
            found => return found.map_err(external),
        }
    }
    Err(external(EngineError::NotFound { entity: "table", name: name.to_owned() }))
}

//! The texts of a column: of text itself, or what stands at a path of its documents.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringViewArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::{config::ConfigOptions, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};
use datafusion::scalar::ScalarValue;
use trilith_udfs::document::{is_variant, json_as_text_udf};

/// Where the texts of a column are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Texts {
    /// The values are texts.
    Column,
    /// The values are documents, and the texts stand where these keys lead.
    Path(Vec<String>),
}

impl Texts {
    /// The column that `name` speaks of and where its texts are: `body`, or `doc.home.city`.
    ///
    /// # Errors
    /// When there is no such column, or it holds no text.
    pub(crate) fn named(table: &str, schema: &Schema, name: &str) -> Result<(usize, Self)> {
        if let Some((at, field)) = schema.column_with_name(name) {
            if is_text(field.data_type()) {
                return Ok((at, Self::Column));
            }
            let found = crate::query::types::sql_name(field);
            return match is_variant(field.data_type()) {
                true => {
                    plan_err!("column {name:?} holds documents; name a path in them, like '{name}.title'")
                }
                false => plan_err!("column {name:?} holds {found}, not text"),
            };
        }
        if let Some((column, path)) = name.split_once('.')
            && let Some((at, field)) = schema.column_with_name(column)
            && is_variant(field.data_type())
            && path.split('.').all(|key| !key.is_empty())
        {
            return Ok((at, Self::Path(path.split('.').map(str::to_owned).collect())));
        }
        plan_err!("table {table:?} has no column {name:?}, nor documents in a column before its first dot")
    }

    /// The texts of a column's values; null where there is none.
    ///
    /// # Errors
    /// When a document is damaged.
    pub(super) fn of(&self, values: &ArrayRef) -> Result<StringViewArray> {
        let texts = match self {
            Self::Column => Arc::clone(values),
            Self::Path(keys) => at_path(values, keys)?,
        };
        Ok(cast(&texts, &DataType::Utf8View)?.as_string_view().clone())
    }
}

/// What `column->>key->>...` is.
fn at_path(documents: &ArrayRef, keys: &[String]) -> Result<ArrayRef> {
    let function = json_as_text_udf();
    let rows = documents.len();
    let column = Field::new("documents", documents.data_type().clone(), true);
    let mut args = vec![ColumnarValue::Array(Arc::clone(documents))];
    let mut fields = vec![Arc::new(column)];
    for key in keys {
        args.push(ColumnarValue::Scalar(ScalarValue::from(key.as_str())));
        fields.push(Arc::new(Field::new("key", DataType::Utf8, false)));
    }
    let call = ScalarFunctionArgs {
        args,
        arg_fields: fields,
        number_rows: rows,
        return_field: Arc::new(Field::new("text", DataType::Utf8, true)),
        config_options: Arc::new(ConfigOptions::default()),
    };
    function.invoke_with_args(call)?.into_array(rows)
}

/// Whether values of a type are texts.
pub(in crate::query::search) fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

impl fmt::Display for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Column => f.write_str("the column"),
            Self::Path(keys) => write!(f, "path {keys:?}"),
        }
    }
}

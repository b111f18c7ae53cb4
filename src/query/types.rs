//! SQL types of our own: `VECTOR(n)` and lists of such, `SPARSEVEC`, `VARIANT`, `JSON` and how values of other types become them.
//!
//! A type is an Arrow field with metadata; its name in SQL exists only here. Everything else is
//! DataFusion's own reading of a type.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::{ExprSchema, plan_datafusion_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::logical_expr::{Expr, ExprSchemable};
use datafusion::sql::sqlparser::ast::{ArrayElemTypeDef, DataType as SqlType, ObjectName, TimezoneInfo};
use trilith_engine::{SPARSE_KEY, VECTOR_KEY};
use trilith_udfs::{document, sparse};

/// Longest vector, in elements.
pub const VECTOR_LENGTH_MAX: i32 = 65_536;

/// Plans the types that DataFusion does not know.
#[derive(Debug, Default)]
pub struct TrilithTypes;

impl TypePlanner for TrilithTypes {
    fn plan_type_field(&self, sql_type: &SqlType) -> Result<Option<FieldRef>> {
        match sql_type {
            SqlType::JSON | SqlType::JSONB => Ok(Some(Arc::new(variant_field("", true)))),
            SqlType::Timestamp(precision, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => {
                Ok(Some(Arc::new(Field::new("", instant(*precision)?, true))))
            }
            SqlType::Blob(_) | SqlType::Varbinary(_) | SqlType::Binary(_) => {
                Ok(Some(Arc::new(Field::new("", DataType::Binary, true))))
            }
            SqlType::Datetime(precision) => {
                Ok(Some(Arc::new(Field::new("", DataType::Timestamp(unit(*precision)?, None), true))))
            }
            SqlType::Custom(name, arguments) => custom(name, arguments),
            SqlType::Array(
                ArrayElemTypeDef::SquareBracket(item, None) | ArrayElemTypeDef::AngleBracket(item),
            ) => lists_of(item),
            _ => Ok(None),
        }
    }
}

/// A list of vectors. The mark is on the column: DataFusion's operators lose what is on the items of a list.
fn lists_of(item: &SqlType) -> Result<Option<FieldRef>> {
    match item {
        SqlType::Custom(name, arguments) if name.to_string().eq_ignore_ascii_case("vector") => {
            Ok(Some(Arc::new(vector_list_field("", vector_length(arguments)?))))
        }
        _ => Ok(None),
    }
}

/// A point in time: stored as UTC, whatever zone it was written in.
fn instant(precision: Option<u64>) -> Result<DataType> {
    Ok(DataType::Timestamp(unit(precision)?, Some("UTC".into())))
}

/// The unit that keeps this many digits after the second.
fn unit(precision: Option<u64>) -> Result<TimeUnit> {
    match precision {
        Some(0) => Ok(TimeUnit::Second),
        Some(3) => Ok(TimeUnit::Millisecond),
        Some(6) => Ok(TimeUnit::Microsecond),
        None | Some(9) => Ok(TimeUnit::Nanosecond),
        Some(other) => plan_err!("TIMESTAMP({other}): the precision must be 0, 3, 6 or 9"),
    }
}

fn custom(name: &ObjectName, arguments: &[String]) -> Result<Option<FieldRef>> {
    match name.to_string().to_ascii_lowercase().as_str() {
        "vector" => Ok(Some(Arc::new(vector_field("", vector_length(arguments)?)))),
        "sparsevec" if arguments.is_empty() => Ok(Some(Arc::new(sparse_field("", true)))),
        "variant" if arguments.is_empty() => Ok(Some(Arc::new(variant_field("", true)))),
        _ => Ok(None),
    }
}

fn vector_length(arguments: &[String]) -> Result<i32> {
    let [length] = arguments else {
        return plan_err!("VECTOR needs its number of elements: write VECTOR(384)");
    };
    let length: i32 = length.parse().map_err(|_| {
        plan_datafusion_err!("VECTOR({length}): the number of elements must be a whole number")
    })?;
    if !(1..=VECTOR_LENGTH_MAX).contains(&length) {
        return plan_err!(
            "VECTOR({length}): the number of elements must be between 1 and {VECTOR_LENGTH_MAX}"
        );
    }
    Ok(length)
}

/// A column of vectors of `length` 32-bit floats.
#[must_use]
pub fn vector_field(name: &str, length: i32) -> Field {
    let item = Arc::new(Field::new_list_field(DataType::Float32, true));
    Field::new(name, DataType::FixedSizeList(item, length), true)
        .with_metadata(HashMap::from([(VECTOR_KEY.to_owned(), String::new())]))
}

/// A column of lists of such vectors.
#[must_use]
pub fn vector_list_field(name: &str, length: i32) -> Field {
    let vector = vector_field(name, length);
    let item = Arc::new(Field::new_list_field(vector.data_type().clone(), true));
    Field::new(name, DataType::List(item), true).with_metadata(vector.metadata().clone())
}

/// A column of sparse vectors.
#[must_use]
pub fn sparse_field(name: &str, nullable: bool) -> Field {
    Field::new(name, sparse::sparse_data_type(), nullable)
        .with_metadata(HashMap::from([(SPARSE_KEY.to_owned(), String::new())]))
}

/// Whether the column holds sparse vectors.
#[must_use]
pub fn is_sparse(field: &Field) -> bool {
    field.metadata().contains_key(SPARSE_KEY)
}

/// A column of documents.
#[must_use]
pub fn variant_field(name: &str, nullable: bool) -> Field {
    document::variant_field(name, nullable)
}

/// Whether the column holds vectors.
#[must_use]
pub fn is_vector(field: &Field) -> bool {
    matches!(field.data_type(), DataType::FixedSizeList(..)) && field.metadata().contains_key(VECTOR_KEY)
}

/// Whether the column holds lists of vectors.
#[must_use]
pub fn is_vector_list(field: &Field) -> bool {
    matches!(field.data_type(), DataType::List(_)) && field.metadata().contains_key(VECTOR_KEY)
}

/// Whether the column holds documents.
#[must_use]
pub fn is_variant(field: &Field) -> bool {
    document::is_variant_field(field)
}

/// The name a type has in SQL, for messages and system tables.
#[must_use]
pub fn sql_name(field: &Field) -> String {
    match field.data_type() {
        DataType::FixedSizeList(_, length) if is_vector(field) => format!("VECTOR({length})"),
        _ if is_variant(field) => "VARIANT".to_owned(),
        _ if is_sparse(field) => "SPARSEVEC".to_owned(),
        DataType::List(item) if is_vector_list(field) => match item.data_type() {
            DataType::FixedSizeList(_, length) => format!("VECTOR({length})[]"),
            other => format!("{other}[]"),
        },
        other => other.to_string(),
    }
}

/// `expr` as a value of the column `target`: text becomes a document or a vector, the rest is a cast.
///
/// # Errors
/// When no cast exists; the message names the column.
pub fn coerce(expr: Expr, target: &Field, input: &dyn ExprSchema) -> Result<Expr> {
    let source = expr.to_field(input)?.1;
    let is_text = matches!(source.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    if is_text && is_variant(target) {
        return Ok(document::parse_json_udf().call(vec![expr]));
    }
    if is_variant(target) && !is_variant(&source) && source.data_type() != &DataType::Null {
        return Ok(document::to_variant_udf().call(vec![expr]));
    }
    if is_text && is_vector(target) {
        let elements = text_elements(expr);
        return cast(elements, &DataType::new_list(DataType::Utf8, true), target, input);
    }
    if is_sparse(target) && (is_text || sparse::is_sparse(source.data_type())) {
        return Ok(sparse::sparsevec_udf().call(vec![expr]));
    }
    let from = source.data_type().clone();
    cast(expr, &from, target, input)
}

fn cast(expr: Expr, from: &DataType, target: &Field, input: &dyn ExprSchema) -> Result<Expr> {
    expr.cast_to(target.data_type(), input).map_err(|_| {
        plan_datafusion_err!(
            "column {:?} holds {}; a value of type {from} does not fit",
            target.name(),
            sql_name(target)
        )
    })
}

/// `'[1, 2, 3]'` as a list of texts.
fn text_elements(expr: Expr) -> Expr {
    use datafusion::functions::string::expr_fn::btrim;
    use datafusion::functions_nested::expr_fn::string_to_array;
    let inner = btrim(vec![expr, datafusion::prelude::lit("[] ")]);
    string_to_array(
        inner,
        datafusion::prelude::lit(","),
        datafusion::prelude::lit(datafusion::scalar::ScalarValue::Utf8(None)),
    )
}

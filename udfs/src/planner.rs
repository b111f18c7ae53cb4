//! The operators of vectors and documents, and field access into documents.
//!
//! `<->` `<#>` `<=>` `<+>` `<~>` `<%>` are pgvector's distances, `->` `->>` `@>` PostgreSQL's JSON
//! operators; `doc['a'][0]` and `doc.a.b` are `->` chains. `<=>` stays null-safe equality unless
//! an operand is a vector. A chain of steps becomes one call, so nothing is built in between, and
//! a document next to a number, a text or a boolean is read as one.

use crate::document::{self, DocumentFunction, is_variant};
use crate::vector;
use arrow::datatypes::{DataType, Field};
use datafusion::common::{Column, DFSchema, Result, ScalarValue, TableReference};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr, RawFieldAccessExpr};
use datafusion::logical_expr::sqlparser::ast::BinaryOperator;
use datafusion::logical_expr::{Expr, ExprSchemable, GetFieldAccess, ScalarUDF, lit};

/// Plans the operators and the field access of this crate.
#[derive(Debug, Default, Clone, Copy)]
pub struct TrilithPlanner;

impl ExprPlanner for TrilithPlanner {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        if let Some(distance) = distance(&expr, schema) {
            return Ok(PlannerResult::Planned(distance.call(vec![expr.left, expr.right])));
        }
        let expr = as_scalars(expr, schema);
        Ok(match document_call(&expr, schema) {
            Some(DocumentCall::Step(function)) => {
                PlannerResult::Planned(step(function, expr.left, expr.right))
            }
            Some(DocumentCall::Contains) => {
                PlannerResult::Planned(document::json_contains_udf().call(vec![expr.left, expr.right]))
            }
            Some(DocumentCall::Contained) => {
                PlannerResult::Planned(document::json_contains_udf().call(vec![expr.right, expr.left]))
            }
            None => PlannerResult::Original(expr),
        })
    }

    fn plan_field_access(
        &self,
        expr: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        if !expr.expr.get_type(schema).is_ok_and(|data_type| is_variant(&data_type)) {
            return Ok(PlannerResult::Original(expr));
        }
        let RawFieldAccessExpr { field_access, expr } = expr;
        let key = match field_access {
            GetFieldAccess::NamedStructField { name } => lit(name),
            GetFieldAccess::ListIndex { key } => *key,
            range => return Ok(PlannerResult::Original(RawFieldAccessExpr { field_access: range, expr })),
        };
        Ok(PlannerResult::Planned(step(document::json_get_udf(), expr, key)))
    }

    fn plan_compound_identifier(
        &self,
        field: &Field,
        qualifier: Option<&TableReference>,
        nested_names: &[String],
    ) -> Result<PlannerResult<Vec<Expr>>> {
        if !is_variant(field.data_type()) {
            return Ok(PlannerResult::Original(Vec::new()));
        }
        let column = Expr::Column(Column::from((qualifier, field)));
        let steps = nested_names.iter().map(|name| lit(name.as_str()));
        Ok(PlannerResult::Planned(
            steps.fold(column, |document, key| step(document::json_get_udf(), document, key)),
        ))
    }
}

fn distance(expr: &RawBinaryExpr, schema: &DFSchema) -> Option<ScalarUDF> {
    let is_vector = |side: &Expr| side.get_type(schema).is_ok_and(|data_type| vector::is_vector(&data_type));
    match &expr.op {
        // What `<->` is in the PostgreSQL dialect.
        BinaryOperator::LtDashGt => Some(vector::l2_distance_udf()),
        BinaryOperator::Spaceship if is_vector(&expr.left) || is_vector(&expr.right) => {
            Some(vector::cosine_distance_udf())
        }
        BinaryOperator::Custom(operator) => match operator.as_str() {
            "<->" => Some(vector::l2_distance_udf()),
            "<#>" => Some(vector::negative_inner_product_udf()),
            "<+>" => Some(vector::l1_distance_udf()),
            "<~>" => Some(vector::hamming_distance_udf()),
            "<%>" => Some(vector::jaccard_distance_udf()),
            _ => None,
        },
        _ => None,
    }
}

/// Reads a document as the type it is compared or computed with: `doc.price > 3`, `doc.name = 'x'`.
fn as_scalars(expr: RawBinaryExpr, schema: &DFSchema) -> RawBinaryExpr {
    use BinaryOperator::{
        Divide, Eq, Gt, GtEq, Lt, LtEq, Minus, Modulo, Multiply, NotEq, Plus, StringConcat,
    };
    let RawBinaryExpr { op, left, right } = expr;
    if !matches!(
        op,
        Eq | NotEq | Lt | LtEq | Gt | GtEq | Plus | Minus | Multiply | Divide | Modulo | StringConcat
    ) {
        return RawBinaryExpr { op, left, right };
    }
    let holds_document = |side: &Expr| side.get_type(schema).is_ok_and(|data_type| is_variant(&data_type));
    match (holds_document(&left), holds_document(&right)) {
        (true, false) => match scalar_reader(&op, &right, schema) {
            Some(reader) => RawBinaryExpr { op, left: extend(reader, left, None), right },
            None => RawBinaryExpr { op, left, right },
        },
        (false, true) => match scalar_reader(&op, &left, schema) {
            Some(reader) => RawBinaryExpr { op, left, right: extend(reader, right, None) },
            None => RawBinaryExpr { op, left, right },
        },
        _ => RawBinaryExpr { op, left, right },
    }
}

/// The function that reads a document as what `other` is.
///
/// Numbers meet as doubles; an equality with an integer, or one that doubles cannot tell from its
/// neighbours, as integers.
fn scalar_reader(op: &BinaryOperator, other: &Expr, schema: &DFSchema) -> Option<ScalarUDF> {
    let beyond_doubles = |value: &i64| value.unsigned_abs() >= 1 << f64::MANTISSA_DIGITS;
    let large = matches!(other, Expr::Literal(ScalarValue::Int64(Some(value)), _) if beyond_doubles(value));
    match other.get_type(schema).ok()? {
        DataType::Boolean => Some(document::json_get_bool_udf()),
        text if is_text(&text) => Some(document::json_get_str_udf()),
        integer if integer.is_integer() && (large || op == &BinaryOperator::Eq) => {
            Some(document::json_get_int_udf())
        }
        number if number.is_numeric() => Some(document::json_get_float_udf()),
        _ => None,
    }
}

enum DocumentCall {
    Step(ScalarUDF),
    Contains,
    Contained,
}

fn document_call(expr: &RawBinaryExpr, schema: &DFSchema) -> Option<DocumentCall> {
    let data_type = |side: &Expr| side.get_type(schema).ok();
    let left = data_type(&expr.left)?;
    let is_document = is_variant(&left) || is_text(&left);
    match expr.op {
        BinaryOperator::Arrow if is_document => Some(DocumentCall::Step(document::json_get_udf())),
        BinaryOperator::LongArrow if is_document => Some(DocumentCall::Step(document::json_as_text_udf())),
        BinaryOperator::AtArrow if is_variant(&left) => Some(DocumentCall::Contains),
        BinaryOperator::ArrowAt if is_variant(&data_type(&expr.right)?) => Some(DocumentCall::Contained),
        _ => None,
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// `function(document, key)`.
fn step(function: ScalarUDF, document: Expr, key: Expr) -> Expr {
    extend(function, document, Some(key))
}

/// `function(document, key)`, with the keys of the document before it if that is itself a `json_get`.
fn extend(function: ScalarUDF, document: Expr, key: Option<Expr>) -> Expr {
    let mut arguments = match document {
        Expr::ScalarFunction(ScalarFunction { func, args }) if is_json_get(&func) => args,
        other => vec![other],
    };
    arguments.extend(key);
    function.call(arguments)
}

fn is_json_get(function: &ScalarUDF) -> bool {
    function.inner().downcast_ref::<DocumentFunction>().is_some() && function.name() == "json_get"
}

//! Rows of literals, as a batch at once.
//!
//! Each value of `VALUES` is an expression to DataFusion, planned, optimized and evaluated by itself;
//! for the many rows of a bulk `INSERT` that costs more than storing them. A column of numbers, texts
//! or truth values is built directly here; anything else is left to the planner.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, NullArray, RecordBatch, StringArray,
};
use datafusion::sql::sqlparser::ast::{Expr, UnaryOperator, Value, Values};

/// Fewer rows are planned as expressions: they cost little, and plans read better.
const ROWS_MIN: usize = 64;

/// A value that stands for itself.
enum Literal<'a> {
    Null,
    Integer(i64),
    Float(f64),
    Text(&'a str),
    Truth(bool),
}

/// The rows as a batch; `None` when there are few, or some value is not a plain literal.
pub(super) fn batch(values: &Values) -> Option<RecordBatch> {
    let width = values.rows.first()?.content.len();
    let even = values.rows.iter().all(|row| row.content.len() == width);
    if values.rows.len() < ROWS_MIN || width == 0 || !even {
        return None;
    }
    let columns = (0..width).map(|at| {
        let literals = values.rows.iter().map(|row| literal(&row.content[at])).collect::<Option<Vec<_>>>()?;
        Some((format!("column{}", at + 1), column(&literals)?, true))
    });
    RecordBatch::try_from_iter_with_nullable(columns.collect::<Option<Vec<_>>>()?).ok()
}

fn literal(expr: &Expr) -> Option<Literal<'_>> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) => number(text),
            Value::SingleQuotedString(text) => Some(Literal::Text(text)),
            Value::Boolean(truth) => Some(Literal::Truth(*truth)),
            Value::Null => Some(Literal::Null),
            _ => None,
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match expr.as_ref() {
            Expr::Value(value) => match &value.value {
                Value::Number(text, _) => number(&format!("-{text}")),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// A number as DataFusion reads it: whole when it can be, else a float. Wider numbers are not plain.
fn number(text: &str) -> Option<Literal<'static>> {
    match text.parse::<i64>() {
        Ok(integer) => Some(Literal::Integer(integer)),
        Err(_) if text.contains(['.', 'e', 'E']) => text.parse().ok().map(Literal::Float),
        Err(_) => None,
    }
}

/// A column of one type; integers among floats become floats.
fn column(literals: &[Literal<'_>]) -> Option<ArrayRef> {
    let first = literals.iter().find(|literal| !matches!(literal, Literal::Null));
    let has_floats = literals.iter().any(|literal| matches!(literal, Literal::Float(_)));
    Some(match first {
        None => Arc::new(NullArray::new(literals.len())),
        Some(Literal::Text(_)) => Arc::new(
            cells(literals, |literal| match literal {
                Literal::Text(text) => Some(*text),
                _ => None,
            })?
            .into_iter()
            .collect::<StringArray>(),
        ),
        Some(Literal::Truth(_)) => Arc::new(
            cells(literals, |literal| match literal {
                Literal::Truth(truth) => Some(*truth),
                _ => None,
            })?
            .into_iter()
            .collect::<BooleanArray>(),
        ),
        Some(_) if has_floats => Arc::new(
            cells(literals, |literal| match literal {
                Literal::Float(float) => Some(*float),
                Literal::Integer(integer) => Some(*integer as f64),
                _ => None,
            })?
            .into_iter()
            .collect::<Float64Array>(),
        ),
        Some(_) => Arc::new(
            cells(literals, |literal| match literal {
                Literal::Integer(integer) => Some(*integer),
                _ => None,
            })?
            .into_iter()
            .collect::<Int64Array>(),
        ),
    })
}

/// The cells of a column; `None` when a cell that is not null is not of the column's type.
fn cells<'a, T>(
    literals: &'a [Literal<'_>],
    read: impl Fn(&'a Literal<'_>) -> Option<T>,
) -> Option<Vec<Option<T>>> {
    let cell = |literal: &'a Literal<'_>| match literal {
        Literal::Null => Some(None),
        value => read(value).map(Some),
    };
    literals.iter().map(cell).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use datafusion::arrow::datatypes::DataType;
    use datafusion::sql::parser::Statement;
    use datafusion::sql::sqlparser::ast::{SetExpr, Statement as Ast};

    fn types(row: &str) -> Option<Vec<DataType>> {
        let sql = format!("VALUES {}", vec![format!("({row})"); ROWS_MIN].join(", "));
        let Statement::Statement(statement) = trilith_udfs::dialect::parse(&sql).unwrap() else {
            return None;
        };
        let Ast::Query(query) = *statement else { return None };
        let SetExpr::Values(values) = *query.body else { return None };
        let batch = batch(&values)?;
        assert_eq!(batch.num_rows(), ROWS_MIN);
        Some(batch.schema().fields().iter().map(|field| field.data_type().clone()).collect())
    }

    #[test]
    fn plain_literals_are_a_batch() {
        let found = types("1, -2, 1.5, -1e3, 'text', true, NULL").unwrap();
        use DataType::{Boolean, Float64, Int64, Null, Utf8};
        assert_eq!(found, [Int64, Int64, Float64, Float64, Utf8, Boolean, Null]);
    }

    #[test]
    fn expressions_are_left_to_the_planner() {
        for row in ["1 + 1", "now()", "[1, 2]", "$1", "DATE '2024-01-01'", "99999999999999999999"] {
            assert_eq!(types(row), None, "{row}");
        }
    }

    #[test]
    fn one_column_has_one_type() {
        let mixed = vec![Literal::Integer(1), Literal::Null, Literal::Float(0.5)];
        assert_eq!(column(&mixed).unwrap().data_type(), &DataType::Float64);
        assert!(column(&[Literal::Integer(1), Literal::Text("a")]).is_none());
    }
}

//! Conditions that need no planner: comparisons of a table's columns, with functions that always give the same value.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::TreeNode;
use datafusion::execution::SessionState;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::logical_expr::{Expr, ExprSchemable, TableProviderFilterPushDown, Volatility};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;

use crate::error::Result;
use crate::query::parse;

/// The parts of a condition, all of which `table` applies itself; `None` when the condition takes a statement, which also
/// says best what is wrong with it.
///
/// # Errors
/// When the text is too long or too deep, or no expression.
pub(crate) fn conjuncts(
    session: &SessionState,
    condition: &str,
    table: &dyn TableProvider,
) -> Result<Option<Vec<Expr>>> {
    let parsed = parse::condition(condition)?;
    let schema = Arc::new(DFSchema::try_from(table.schema())?);
    let Ok(expr) = session.create_logical_expr_from_sql_expr(parsed, &schema) else { return Ok(None) };
    if matches!(expr, Expr::Alias(_)) || expr.exists(|part| Ok(takes_a_statement(part)))? {
        return Ok(None);
    }
    let context = SimplifyContext::builder()
        .with_schema(Arc::clone(&schema))
        .with_config_options(Arc::clone(session.config_options()))
        .build();
    let simplifier = ExprSimplifier::new(context);
    let Ok(expr) = simplifier.coerce(expr, &schema).and_then(|expr| simplifier.simplify(expr)) else {
        return Ok(None);
    };
    if expr.get_type(&*schema)? != DataType::Boolean {
        return Ok(None);
    }
    let parts = split_conjunction_owned(expr);
    let exact = |applied: &TableProviderFilterPushDown| *applied == TableProviderFilterPushDown::Exact;
    let applied = table.supports_filters_pushdown(&parts.iter().collect::<Vec<_>>())?;
    Ok(applied.iter().all(exact).then_some(parts))
}

/// Whether a part of an expression has no value of its own, or one that depends on when it is asked.
fn takes_a_statement(part: &Expr) -> bool {
    match part {
        Expr::ScalarFunction(call) => call.func.signature().volatility != Volatility::Immutable,
        Expr::Column(_) | Expr::Literal(..) | Expr::BinaryExpr(_) | Expr::Like(_) | Expr::Between(_) => false,
        Expr::Not(_) | Expr::Negative(_) | Expr::IsNull(_) | Expr::IsNotNull(_) | Expr::InList(_) => false,
        Expr::IsTrue(_) | Expr::IsFalse(_) | Expr::IsNotTrue(_) | Expr::IsNotFalse(_) => false,
        Expr::Case(_) | Expr::Cast(_) | Expr::TryCast(_) | Expr::Alias(_) => false,
        _ => true,
    }
}

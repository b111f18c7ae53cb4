//! Named arguments of `vector_search`: `k => 5, metric => 'l2'`.
//!
//! DataFusion passes only positions to a table function, so names are put in their places before it
//! plans the call.

use datafusion::common::{plan_datafusion_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::planner::{RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::sql::sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, ObjectName, TableFactor, Value};

use super::arguments::{K, K_DEFAULT, METRIC, METRIC_DEFAULT, NAMES};
use super::function::VECTOR_SEARCH;

/// Rewrites calls with names to calls with positions.
#[derive(Debug)]
pub(crate) struct NamedArguments;

impl RelationPlanner for NamedArguments {
    fn plan_relation(
        &self,
        mut relation: TableFactor,
        _: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        if let TableFactor::Table { name, args: Some(call), .. } = &mut relation
            && is_search(name)
        {
            call.args = in_places(std::mem::take(&mut call.args))?;
        }
        Ok(RelationPlanning::Original(Box::new(relation)))
    }
}

fn is_search(name: &ObjectName) -> bool {
    let [part] = name.0.as_slice() else { return false };
    part.as_ident().is_some_and(|ident| ident.value.eq_ignore_ascii_case(VECTOR_SEARCH))
}

fn in_places(arguments: Vec<FunctionArg>) -> Result<Vec<FunctionArg>> {
    let mut places: Vec<Option<FunctionArgExpr>> = vec![];
    for argument in arguments {
        let (at, value) = match argument {
            FunctionArg::Unnamed(value) => (places.len(), value),
            FunctionArg::Named { name, arg, .. } => (position(&name.value)?, arg),
            FunctionArg::ExprNamed { name: Expr::Identifier(name), arg, .. } => (position(&name.value)?, arg),
            other => return plan_err!("vector_search: {other} is no argument; write name => value"),
        };
        places.resize(places.len().max(at + 1), None);
        if places[at].replace(value).is_some() {
            return plan_err!("vector_search: {} is given twice", NAMES.get(at).unwrap_or(&"an argument"));
        }
    }
    places.into_iter().enumerate().map(|(at, value)| given(at, value)).collect()
}

fn position(name: &str) -> Result<usize> {
    NAMES.iter().position(|known| name.eq_ignore_ascii_case(known)).ok_or_else(|| {
        plan_datafusion_err!("vector_search has no argument {name:?}; there are {}", NAMES.join(", "))
    })
}

fn given(at: usize, value: Option<FunctionArgExpr>) -> Result<FunctionArg> {
    match value {
        Some(value) => Ok(FunctionArg::Unnamed(value)),
        None if at == K => Ok(constant(Value::Number(K_DEFAULT.to_string(), false))),
        None if at == METRIC => Ok(constant(Value::SingleQuotedString(METRIC_DEFAULT.to_owned()))),
        None => plan_err!("vector_search: {} is missing", NAMES.get(at).unwrap_or(&"an argument")),
    }
}

fn constant(value: Value) -> FunctionArg {
    FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::value(value)))
}

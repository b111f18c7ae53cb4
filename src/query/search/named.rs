//! Named arguments of the search functions: `k => 5, metric => 'l2'`.
//!
//! DataFusion passes only positions to a table function, so names are put in their places before it
//! plans the call.

use datafusion::common::{plan_datafusion_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::planner::{RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::sql::sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, ObjectName, TableFactor, Value};

use super::call::{Default, Signature};
use super::functions;

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
            && let Some(signature) = called(name)
        {
            call.args = in_places(signature, std::mem::take(&mut call.args))?;
        }
        Ok(RelationPlanning::Original(Box::new(relation)))
    }
}

fn called(name: &ObjectName) -> Option<&'static Signature> {
    let [part] = name.0.as_slice() else { return None };
    functions::function_named(&part.as_ident()?.value).map(|function| function.signature)
}

fn in_places(signature: &Signature, arguments: Vec<FunctionArg>) -> Result<Vec<FunctionArg>> {
    let function = signature.name;
    let mut places: Vec<Option<FunctionArgExpr>> = vec![];
    for argument in arguments {
        let (at, value) = match argument {
            FunctionArg::Unnamed(value) => (places.len(), value),
            FunctionArg::Named { name, arg, .. } => (signature.place(&name.value)?, arg),
            FunctionArg::ExprNamed { name: Expr::Identifier(name), arg, .. } => {
                (signature.place(&name.value)?, arg)
            }
            other => return plan_err!("{function}: {other} is no argument; write name => value"),
        };
        places.resize(places.len().max(at + 1), None);
        if places[at].replace(value).is_some() {
            return plan_err!("{function}: {} is given twice", signature.name_at(at));
        }
    }
    places.into_iter().enumerate().map(|(at, value)| given(signature, at, value)).collect()
}

/// The argument at a place: a later one is given, so this one must be, or have a default.
fn given(signature: &Signature, at: usize, value: Option<FunctionArgExpr>) -> Result<FunctionArg> {
    let default = signature.arguments.get(at).and_then(|argument| argument.default);
    let value = value.or_else(|| default.map(constant));
    value
        .map(FunctionArg::Unnamed)
        .ok_or_else(|| plan_datafusion_err!("{}: the {} is missing", signature.name, signature.name_at(at)))
}

fn constant(default: Default) -> FunctionArgExpr {
    let value = match default {
        Default::Whole(number) => Value::Number(number.to_string(), false),
        Default::Real(number) => Value::Number(format!("{number:?}"), false),
        Default::Text(text) => Value::SingleQuotedString(text.to_owned()),
        Default::OnlyColumn | Default::Nothing => Value::Null,
    };
    FunctionArgExpr::Expr(Expr::value(value))
}

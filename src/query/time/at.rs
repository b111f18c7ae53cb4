//! `t AT (VERSION => 12)`, `AT (TIMESTAMP => ...)`, `AT (TAG => 'name')`, as Snowflake and DuckLake write it, and
//! `t VERSION AS OF 12`, `t TIMESTAMP AS OF ...`, as Spark does: rewritten as calls of `table_at`.

use datafusion::common::plan_err;
use datafusion::error::Result;
use datafusion::logical_expr::planner::{RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, TableAlias, TableFactor,
    TableFunctionArgs, TableVersion, Value,
};

use super::past;
use crate::query::catalog::DEFAULT_SCHEMA;

/// Rewrites tables with a version.
#[derive(Debug)]
pub(crate) struct Versions;

impl RelationPlanner for Versions {
    fn plan_relation(
        &self,
        mut relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        if let TableFactor::Table { name, alias, args, version, .. } = &mut relation
            && let Some(wanted) = version.take()
        {
            let (kind, value) = selector(wanted)?;
            let table = context.object_name_to_table_reference(name.clone())?;
            let schema = table.schema().unwrap_or(DEFAULT_SCHEMA);
            let place = [text(schema), text(table.table()), text(kind), value];
            let place = place.map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)));
            alias.get_or_insert_with(|| alias_of(table.table()));
            *args = Some(TableFunctionArgs { args: place.to_vec(), settings: None });
            *name = ObjectName::from(vec![Ident::new(past::NAME)]);
        }
        Ok(RelationPlanning::Original(Box::new(relation)))
    }
}

fn text(text: &str) -> Expr {
    Expr::value(Value::SingleQuotedString(text.to_owned()))
}

fn alias_of(table: &str) -> TableAlias {
    TableAlias { explicit: true, name: Ident::with_quote('"', table), columns: vec![], at: None }
}

/// What a version is named by.
fn selector(version: TableVersion) -> Result<(&'static str, Expr)> {
    match version {
        TableVersion::VersionAsOf(number) => Ok((past::VERSION, number)),
        TableVersion::TimestampAsOf(moment) | TableVersion::ForSystemTimeAsOf(moment) => {
            Ok((past::TIMESTAMP, moment))
        }
        TableVersion::Function(Expr::Function(call)) if call.name.to_string().eq_ignore_ascii_case("at") => {
            match call.args {
                FunctionArguments::List(list) if list.args.len() == 1 => named(list.args),
                _ => usage(),
            }
        }
        _ => usage(),
    }
}

fn named(arguments: Vec<FunctionArg>) -> Result<(&'static str, Expr)> {
    let (name, value) = match arguments.into_iter().next() {
        Some(FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. }) => (name.value, value),
        Some(FunctionArg::ExprNamed {
            name: Expr::Identifier(name),
            arg: FunctionArgExpr::Expr(value),
            ..
        }) => (name.value, value),
        _ => return usage(),
    };
    match past::KINDS.into_iter().find(|kind| name.eq_ignore_ascii_case(kind)) {
        Some(kind) => Ok((kind, value)),
        None => usage(),
    }
}

fn usage<T>() -> Result<T> {
    plan_err!(
        "a version of a table is written AT (VERSION => 12), AT (TIMESTAMP => TIMESTAMP '2026-01-31 12:00:00') or \
         AT (TAG => 'name')"
    )
}

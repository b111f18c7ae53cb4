//! `UPDATE`: a query that gives each row to change its identity and its new values.

use std::sync::Arc;

use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{Expr as SqlExpr, Update, UpdateTableFromKind};

use super::context::Context;
use super::identity::{self, Relation};
use super::on_conflict::assigned_column;
use super::target::Target;
use crate::error::{Error, Result};
use crate::query::parse::quoted;
use crate::query::types;
use crate::query::write::{Change, WriteNode};

/// The plan of an `UPDATE`.
pub(super) async fn plan(context: &Context<'_>, update: &Update) -> Result<LogicalPlan> {
    refuse_clauses(update)?;
    let relation = Relation::of(&update.table.relation)?;
    let target = Target::find(context, &relation.name)?;
    let items = items(&target, &relation, update)?;
    let rows = identity::rows(context, &target, &relation, &items, &rest(&relation, update)).await?;
    let rows = fitted(&target, rows)?;
    Ok(WriteNode::plan(context.pinned.clone(), Arc::clone(&target.def), Change::Update, rows)?)
}

fn refuse_clauses(update: &Update) -> Result<()> {
    let refused = [
        (update.returning.is_some(), "RETURNING"),
        (update.output.is_some(), "OUTPUT"),
        (update.or.is_some(), "UPDATE OR"),
        (update.limit.is_some(), "LIMIT in UPDATE"),
        (!update.order_by.is_empty(), "ORDER BY in UPDATE"),
        (!update.table.joins.is_empty(), "JOIN in UPDATE"),
    ];
    match refused.into_iter().find(|(present, _)| *present) {
        Some((_, clause)) => Err(Error::unsupported(clause, "use UPDATE t SET ... [FROM ...] [WHERE ...]")),
        None => Ok(()),
    }
}

/// One select item per column of the table.
fn items(target: &Target, relation: &Relation, update: &Update) -> Result<Vec<String>> {
    let mut values: Vec<Option<String>> = vec![None; target.def.columns.len()];
    for assignment in &update.assignments {
        let column = target.column(&assigned_column(assignment)?)?;
        let what = || format!("column {:?}", target.def.columns[column].field.name());
        if values[column].is_some() {
            return Err(Error::invalid(what(), "it is assigned twice"));
        }
        values[column] = Some(value(target, column, &assignment.value));
    }
    let columns = target.def.columns.iter().zip(values);
    Ok(columns
        .map(|(column, value)| {
            let name = column.field.name();
            format!("{} AS {}", value.unwrap_or_else(|| relation.column(name)), quoted(name))
        })
        .collect())
}

fn value(target: &Target, column: usize, value: &SqlExpr) -> String {
    match value {
        SqlExpr::Identifier(ident)
            if ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("default") =>
        {
            format!("({})", target.def.columns[column].default.as_deref().unwrap_or("NULL"))
        }
        value => format!("({value})"),
    }
}

fn rest(relation: &Relation, update: &Update) -> String {
    let mut rest = format!("FROM {}", relation.sql);
    if let Some(UpdateTableFromKind::BeforeSet(from) | UpdateTableFromKind::AfterSet(from)) = &update.from {
        for table in from {
            rest.push_str(&format!(", {table}"));
        }
    }
    if let Some(condition) = &update.selection {
        rest.push_str(&format!(" WHERE {condition}"));
    }
    rest
}

/// The new values in the table's types; identity columns stay as they are.
fn fitted(target: &Target, rows: LogicalPlan) -> Result<LogicalPlan> {
    let schema = Arc::clone(rows.schema());
    let identity = schema.fields().len() - target.def.columns.len();
    let columns = (0..schema.fields().len()).map(|at| {
        let column = Expr::Column(schema.qualified_field(at).into());
        let Some(index) = at.checked_sub(identity) else { return Ok(column) };
        let field = &target.def.columns[index].field;
        Ok(types::coerce(column, field, schema.as_ref())?.alias(field.name()))
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    Ok(LogicalPlanBuilder::from(rows).project(columns)?.build()?)
}

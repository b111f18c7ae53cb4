//! `DELETE`: a query that gives the identity of each row that goes.

use std::sync::Arc;

use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{Delete, FromTable};

use super::context::Context;
use super::identity::{self, Relation};
use super::target::Target;
use crate::error::{Error, Result};
use crate::query::write::{Change, WriteNode};

/// The plan of a `DELETE`.
pub(super) async fn plan(context: &Context<'_>, delete: &Delete) -> Result<LogicalPlan> {
    refuse_clauses(delete)?;
    let (FromTable::WithFromKeyword(tables) | FromTable::WithoutKeyword(tables)) = &delete.from;
    let [table] = tables.as_slice() else {
        return Err(Error::unsupported(
            "DELETE FROM several tables",
            "delete from one and name the others in USING",
        ));
    };
    if !table.joins.is_empty() {
        return Err(Error::unsupported("JOIN in DELETE", "name the other tables in USING"));
    }
    let relation = Relation::of(&table.relation)?;
    let target = Target::find(context, &relation.name)?;
    let rows = identity::rows(context, &target, &relation, &[], &rest(&relation, delete)).await?;
    let rows = match &delete.using {
        Some(_) => LogicalPlanBuilder::from(rows).distinct()?.build()?,
        None => rows,
    };
    Ok(WriteNode::plan(context.pinned.clone(), Arc::clone(&target.def), Change::Delete, rows)?)
}

fn refuse_clauses(delete: &Delete) -> Result<()> {
    let refused = [
        (delete.returning.is_some(), "RETURNING"),
        (delete.output.is_some(), "OUTPUT"),
        (delete.limit.is_some(), "LIMIT in DELETE"),
        (!delete.order_by.is_empty(), "ORDER BY in DELETE"),
        (!delete.tables.is_empty(), "DELETE of several tables"),
    ];
    match refused.into_iter().find(|(present, _)| *present) {
        Some((_, clause)) => Err(Error::unsupported(clause, "use DELETE FROM t [USING ...] [WHERE ...]")),
        None => Ok(()),
    }
}

fn rest(relation: &Relation, delete: &Delete) -> String {
    let mut rest = format!("FROM {}", relation.sql);
    for table in delete.using.iter().flatten() {
        rest.push_str(&format!(", {table}"));
    }
    if let Some(condition) = &delete.selection {
        rest.push_str(&format!(" WHERE {condition}"));
    }
    rest
}

//! Rows to change, found by a query: its first columns say which rows, the others what they become.
//!
//! The identity of a row is its key; in a keyless table the hidden key, which no name reaches, so the
//! planned query is rebuilt over a source that has it. Subqueries keep the table as users see it.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, TableReference};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{ObjectName, TableFactor};
use trilith_engine::ROW_ID;

use super::context::Context;
use super::target::{Target, folded};
use crate::error::{Error, Result};
use crate::query::parse;
use crate::query::parse::quoted;

/// Prefix of identity columns; no user column starts like this.
const KEY_PREFIX: &str = "__trilith_key_";

/// The relation that an `UPDATE` or `DELETE` names.
pub(super) struct Relation {
    pub name: ObjectName,
    /// What its columns are qualified by.
    pub qualifier: String,
    /// It as SQL text, with its alias.
    pub sql: String,
}

impl Relation {
    pub(super) fn of(factor: &TableFactor) -> Result<Self> {
        let TableFactor::Table { name, alias, args: None, .. } = factor else {
            return Err(Error::invalid(format!("{factor}"), "name a table to change"));
        };
        let qualifier = match (alias, name.0.last().and_then(|part| part.as_ident())) {
            (Some(alias), _) => folded(&alias.name),
            (None, Some(ident)) => folded(ident),
            (None, None) => return Err(Error::invalid(format!("{name}"), "name a table to change")),
        };
        Ok(Self { name: name.clone(), qualifier, sql: factor.to_string() })
    }

    /// A column of it, as SQL text.
    pub(super) fn column(&self, name: &str) -> String {
        format!("{}.{}", quoted(&self.qualifier), quoted(name))
    }
}

/// The query over rows to change: identity columns first, then `items`.
pub(super) async fn rows(
    context: &Context<'_>,
    target: &Target,
    relation: &Relation,
    items: &[String],
    rest: &str,
) -> Result<LogicalPlan> {
    let key = target.def.key_columns().iter().enumerate().map(|(at, &i)| {
        format!("{} AS {KEY_PREFIX}{at}", relation.column(target.def.columns[i].field.name()))
    });
    let mut select: Vec<String> = key.chain(items.iter().cloned()).collect();
    if select.is_empty() {
        select.push("1".to_owned());
    }
    let plan = context.plan(parse::rebuilt(&format!("SELECT {} {rest}", select.join(", ")))?).await?;
    if target.def.is_keyed() {
        Ok(plan)
    } else {
        with_row_id(context, target, relation, plan, items.is_empty())
    }
}

/// Rebuilds the plan over the table with its hidden key, and selects that first.
fn with_row_id(
    context: &Context<'_>,
    target: &Target,
    relation: &Relation,
    plan: LogicalPlan,
    only: bool,
) -> Result<LogicalPlan> {
    let LogicalPlan::Projection(projection) = plan else {
        return Err(Error::unsupported("this form of UPDATE or DELETE", "state the rows with WHERE"));
    };
    let input = std::sync::Arc::unwrap_or_clone(projection.input);
    let rebuilt = input.transform_up(|node| match node {
        LogicalPlan::TableScan(scan) if scan.table_name.resolved_eq(&target.reference) => {
            let name = scan.table_name.clone();
            let scan = LogicalPlanBuilder::scan(name, target.with_row_id(context), None)?.build()?;
            Ok(Transformed::yes(scan))
        }
        LogicalPlan::TableScan(_) => Ok(Transformed::no(node)),
        other => other.recompute_schema().map(Transformed::yes),
    })?;
    let builder = LogicalPlanBuilder::from(rebuilt.data);
    let row_id = row_id_column(&builder, relation)?;
    let others = if only { vec![] } else { projection.expr };
    Ok(builder.project(std::iter::once(row_id).chain(others))?.build()?)
}

fn row_id_column(builder: &LogicalPlanBuilder, relation: &Relation) -> Result<Expr> {
    let qualifier = |reference: &&TableReference| reference.table() == relation.qualifier;
    let schema = builder.schema();
    let found =
        schema.iter().find(|(table, field)| field.name() == ROW_ID && table.as_ref().is_some_and(qualifier));
    match found {
        Some((table, field)) => Ok(Expr::Column(Column::new(table.cloned(), field.name())).alias(ROW_ID)),
        None => Err(Error::not_found("table", relation.qualifier.clone())),
    }
}

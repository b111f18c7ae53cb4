//! `INSERT ... ON CONFLICT`: what becomes of a row whose key is there already.
//!
//! `DO UPDATE` that takes every column from `excluded` is an upsert and streams. Any other `SET`
//! joins the new rows to the table as of the snapshot and commits on condition that it still holds.

use std::sync::Arc;

use datafusion::common::{Column, DFSchema, JoinType};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, when};
use datafusion::sql::sqlparser::ast::{
    Assignment, AssignmentTarget, ConflictTarget, DoUpdate, Expr as SqlExpr, Ident, ObjectName,
    OnConflictAction, OnInsert, visit_expressions_mut,
};

use super::context::Context;
use super::target::{Target, folded};
use crate::error::{Error, Result};
use crate::query::types;
use crate::query::write::Change;

/// The name under which SQL knows the row that could not be inserted.
const EXCLUDED: &str = "excluded";

/// What is done, and with which rows.
pub(super) fn plan(
    context: &Context<'_>,
    target: &Target,
    on: &OnInsert,
    rows: LogicalPlan,
) -> Result<(Change, LogicalPlan)> {
    let OnInsert::OnConflict(conflict) = on else {
        return Err(Error::unsupported("ON DUPLICATE KEY", "write ON CONFLICT (key) DO UPDATE SET ..."));
    };
    target.require_key("ON CONFLICT")?;
    check_target(target, conflict.conflict_target.as_ref())?;
    match &conflict.action {
        OnConflictAction::DoNothing => Ok((Change::InsertMissing, rows)),
        OnConflictAction::DoUpdate(update) => {
            let assignments = assignments(target, &update.assignments)?;
            if update.selection.is_none() && takes_all(target, &assignments) {
                return Ok((Change::Upsert, rows));
            }
            Ok((Change::UpsertComputed, computed(context, target, update, &assignments, rows)?))
        }
    }
}

fn check_target(target: &Target, conflict: Option<&ConflictTarget>) -> Result<()> {
    let Some(ConflictTarget::Columns(columns)) = conflict else { return Ok(()) };
    let mut named = columns.iter().map(|ident| target.column(&folded(ident))).collect::<Result<Vec<_>>>()?;
    let mut key = target.def.key_columns().to_vec();
    named.sort_unstable();
    key.sort_unstable();
    if named == key {
        return Ok(());
    }
    let names: Vec<&str> =
        target.def.key_columns().iter().map(|&i| target.def.columns[i].field.name().as_str()).collect();
    let what = format!("ON CONFLICT on table {}", target.def.name);
    Err(Error::invalid(
        what,
        format!("only the primary key is unique: write ON CONFLICT ({})", names.join(", ")),
    ))
}

/// Column positions and the expressions they are set to.
fn assignments<'a>(target: &Target, assignments: &'a [Assignment]) -> Result<Vec<(usize, &'a SqlExpr)>> {
    assignments
        .iter()
        .map(|assignment| Ok((target.column(&assigned_column(assignment)?)?, &assignment.value)))
        .collect()
}

/// The column that an assignment sets.
pub(super) fn assigned_column(assignment: &Assignment) -> Result<String> {
    match &assignment.target {
        AssignmentTarget::ColumnName(ObjectName(parts)) => {
            match parts.last().and_then(|part| part.as_ident()) {
                Some(ident) => Ok(folded(ident)),
                None => Err(Error::invalid(format!("SET {assignment}"), "name a column")),
            }
        }
        AssignmentTarget::Tuple(_) => {
            Err(Error::unsupported("SET (a, b) = ...", "assign the columns one by one"))
        }
    }
}

/// Whether every column outside the key is set to its value in `excluded`.
fn takes_all(target: &Target, assignments: &[(usize, &SqlExpr)]) -> bool {
    let from_excluded = |column: usize| {
        assignments.iter().any(|(to, value)| match value {
            SqlExpr::CompoundIdentifier(parts) => {
                let [table, name] = parts.as_slice() else { return false };
                *to == column
                    && folded(table) == EXCLUDED
                    && folded(name) == *target.def.columns[column].field.name()
            }
            _ => false,
        })
    };
    let key = target.def.key_columns();
    (0..target.def.columns.len()).all(|column| key.contains(&column) || from_excluded(column))
        && assignments.iter().all(|(to, _)| !key.contains(to))
}

/// The new rows, with those whose key is there replaced by what `SET` makes of both.
fn computed(
    context: &Context<'_>,
    target: &Target,
    update: &DoUpdate,
    assignments: &[(usize, &SqlExpr)],
    rows: LogicalPlan,
) -> Result<LogicalPlan> {
    let own = target.reference.table().to_owned();
    let stored = LogicalPlanBuilder::scan(own.as_str(), target.source(context), None)?.build()?;
    let names: Vec<&str> = target.def.columns.iter().map(|column| column.field.name().as_str()).collect();
    let side = |table: &str, column: usize| Column::new(Some(table.to_owned()), names[column]);
    let key = target.def.key_columns();
    let on = (
        key.iter().map(|&i| side(EXCLUDED, i)).collect::<Vec<_>>(),
        key.iter().map(|&i| side(&own, i)).collect::<Vec<_>>(),
    );
    let joined = LogicalPlanBuilder::from(rows).alias(EXCLUDED)?.join(stored, JoinType::Left, on, None)?;
    let schema = Arc::clone(joined.schema());
    let is_new = Expr::Column(side(&own, key[0])).is_null();
    let joined = match &update.selection {
        Some(condition) => {
            let condition = resolved(context, condition, &own, &schema)?;
            joined.filter(is_new.clone().or(condition))?
        }
        None => joined,
    };
    let columns = (0..names.len()).map(|column| {
        let field = &target.def.columns[column].field;
        let existing = match assignments.iter().find(|(to, _)| *to == column) {
            Some((_, value)) => {
                types::coerce(resolved(context, value, &own, &schema)?, field, schema.as_ref())?
            }
            None => Expr::Column(side(&own, column)),
        };
        let incoming = Expr::Column(side(EXCLUDED, column));
        Ok(when(is_new.clone(), incoming).otherwise(existing)?.alias(names[column]))
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    Ok(joined.project(columns)?.build()?)
}

/// An expression of `SET` or `WHERE`; a column without a table is the stored row's.
fn resolved(context: &Context<'_>, value: &SqlExpr, own: &str, schema: &DFSchema) -> Result<Expr> {
    let mut value = value.clone();
    let mut nested = false;
    let _flow = visit_expressions_mut(&mut value, |expr| {
        match expr {
            SqlExpr::Identifier(column) => {
                *expr = SqlExpr::CompoundIdentifier(vec![Ident::with_quote('"', own), column.clone()]);
            }
            SqlExpr::Subquery(_) | SqlExpr::InSubquery { .. } | SqlExpr::Exists { .. } => nested = true,
            _ => {}
        }
        std::ops::ControlFlow::<()>::Continue(())
    });
    if nested {
        return Err(Error::unsupported("a subquery in ON CONFLICT", "compute it in the INSERT's own query"));
    }
    context.expression(&value.to_string(), schema)
}

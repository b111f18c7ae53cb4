//! `INSERT`: the source is planned as a query, then its columns are made to fit the table's.
//!
//! Done here and not by DataFusion's planner because text becomes documents and vectors on the way,
//! and because `ON CONFLICT` and `DEFAULT` are not known there.

use std::sync::Arc;

use datafusion::catalog::MemTable;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::prelude::lit;
use datafusion::scalar::ScalarValue;
use datafusion::sql::parser::Statement as SqlStatement;
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, Ident, Insert, ObjectName, Query, SetExpr, SqliteOnConflict, Statement as Ast,
    TableObject,
};

use super::context::Context;
use super::literals;
use super::on_conflict;
use super::target::{Target, folded};
use crate::error::{Error, Result};
use crate::query::parse;
use crate::query::types;
use crate::query::write::{Change, WriteNode};

/// The plan of an `INSERT`.
pub(super) async fn plan(context: &Context<'_>, insert: &Insert) -> Result<LogicalPlan> {
    refuse_clauses(insert)?;
    let TableObject::TableName(name) = &insert.table else {
        return Err(Error::unsupported("INSERT INTO a function or query", "name a table"));
    };
    let target = Target::find(context, name)?;
    let columns = columns(&target, &insert.columns)?;
    let source = source(context, &target, insert, &columns).await?;
    let rows = fitted(context, &target, &columns, source)?;
    let (change, rows) = match (replaces(insert), &insert.on) {
        (true, _) => {
            target.require_key("INSERT OR REPLACE")?;
            (Change::Upsert, rows)
        }
        (false, Some(on)) => on_conflict::plan(context, &target, on, rows)?,
        (false, None) => (Change::Insert, rows),
    };
    let plan = WriteNode::plan(context.pinned.clone(), Arc::clone(&target.def), change, rows)?;
    context.bind(plan)
}

fn replaces(insert: &Insert) -> bool {
    insert.replace_into || insert.or == Some(SqliteOnConflict::Replace)
}

fn refuse_clauses(insert: &Insert) -> Result<()> {
    let refused = [
        (insert.returning.is_some(), "RETURNING"),
        (insert.output.is_some(), "OUTPUT"),
        (insert.overwrite, "INSERT OVERWRITE"),
        (insert.ignore, "INSERT IGNORE"),
        (insert.partitioned.is_some(), "PARTITION"),
        (!insert.assignments.is_empty(), "INSERT ... SET"),
        (insert.or.is_some() && !replaces(insert), "this INSERT OR"),
        (insert.multi_table_insert_type.is_some(), "INSERT into several tables"),
    ];
    match refused.into_iter().find(|(present, _)| *present) {
        Some((_, clause)) => Err(Error::unsupported(clause, "use INSERT ... [ON CONFLICT ...]")),
        None => Ok(()),
    }
}

/// For each column of the source, the column of the table it goes to; `None` when there is no list.
fn columns(target: &Target, names: &[ObjectName]) -> Result<Option<Vec<usize>>> {
    let mut columns = vec![];
    for name in names {
        let [part] = name.0.as_slice() else {
            return Err(Error::invalid(format!("column {name}"), "write the column's name alone"));
        };
        let index = target.column(&part.as_ident().map(folded).unwrap_or_else(|| part.to_string()))?;
        if columns.contains(&index) {
            return Err(Error::invalid(format!("column {name}"), "it is listed twice"));
        }
        columns.push(index);
    }
    Ok((!columns.is_empty()).then_some(columns))
}

async fn source(
    context: &Context<'_>,
    target: &Target,
    insert: &Insert,
    columns: &Option<Vec<usize>>,
) -> Result<LogicalPlan> {
    let Some(source) = &insert.source else {
        return Ok(LogicalPlanBuilder::empty(true).build()?);
    };
    let mut source = source.clone();
    fill_defaults(target, &mut source, columns)?;
    if let SetExpr::Values(values) = source.body.as_ref()
        && let Some(batch) = literals::batch(values)
    {
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]])?;
        return Ok(LogicalPlanBuilder::scan("values", provider_as_source(Arc::new(table)), None)?.build()?);
    }
    context.plan(SqlStatement::Statement(Box::new(Ast::Query(source)))).await
}

/// Puts a column's default where `VALUES` says `DEFAULT`.
fn fill_defaults(target: &Target, source: &mut Query, columns: &Option<Vec<usize>>) -> Result<()> {
    let SetExpr::Values(values) = source.body.as_mut() else { return Ok(()) };
    for row in &mut values.rows {
        for (at, value) in row.content.iter_mut().enumerate() {
            if !matches!(value, SqlExpr::Identifier(Ident { value, quote_style: None, .. }) if value.eq_ignore_ascii_case("default"))
            {
                continue;
            }
            let column = columns.as_ref().map_or(Some(at), |columns| columns.get(at).copied());
            let text = column.and_then(|column| target.def.columns.get(column)?.default.as_deref());
            *value = parse::expression(text.unwrap_or("NULL"))?.expr;
        }
    }
    Ok(())
}

/// The source's columns, in the table's order and types, with defaults for those it does not give.
pub(super) fn fitted(
    context: &Context<'_>,
    target: &Target,
    columns: &Option<Vec<usize>>,
    source: LogicalPlan,
) -> Result<LogicalPlan> {
    let width = target.def.columns.len();
    let given = source.schema().fields().len();
    let no_values = given == 0;
    let order: Vec<usize> = match columns {
        Some(columns) => columns.clone(),
        None if no_values => vec![],
        None => (0..width).collect(),
    };
    if order.len() != given {
        let why = format!("{} columns are to be filled, {given} values are given", order.len());
        return Err(Error::invalid(format!("INSERT INTO {}", target.def.name), why));
    }
    let schema = Arc::clone(source.schema());
    let projected = (0..width).map(|column| {
        let field = &target.def.columns[column].field;
        let value = match order.iter().position(|&to| to == column) {
            Some(from) => Expr::Column(schema.qualified_field(from).into()),
            None => default_value(context, target, column)?,
        };
        Ok(types::coerce(value, field, schema.as_ref())?.alias(field.name()))
    });
    let projected = projected.collect::<Result<Vec<_>>>()?;
    Ok(LogicalPlanBuilder::from(source).project(projected)?.build()?)
}

/// What a column holds when a statement says nothing about it.
pub(super) fn default_value(context: &Context<'_>, target: &Target, column: usize) -> Result<Expr> {
    let column = &target.def.columns[column];
    match &column.default {
        Some(sql) => context.expression(sql, &datafusion::common::DFSchema::empty()),
        None if column.field.is_nullable() => Ok(lit(ScalarValue::Null)),
        None => {
            let why = "it has no default and cannot be null; give it a value";
            Err(Error::invalid(format!("column {:?} of table {}", column.field.name(), target.def.name), why))
        }
    }
}

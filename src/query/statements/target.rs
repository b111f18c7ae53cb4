//! The table that a statement changes: found by name, and refused where it cannot be changed.

use std::sync::Arc;

use datafusion::common::{ResolvedTableReference, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::TableSource;
use datafusion::sql::planner::object_name_to_table_reference;
use datafusion::sql::sqlparser::ast::{Ident, ObjectName};
use trilith_engine::{Error as EngineError, TableDef, TableName, TableView};

use super::context::Context;
use crate::error::{Error, Result};
use crate::query::catalog::{CATALOG, DEFAULT_SCHEMA, SYSTEM_SCHEMA};
use crate::query::passing;
use crate::query::table::TrilithTable;

/// A table to change, as the statement's snapshot has it.
pub(super) struct Target {
    /// The name as the statement wrote it.
    pub reference: TableReference,
    pub view: TableView,
    pub def: Arc<TableDef>,
}

impl Target {
    pub(super) fn find(context: &Context<'_>, name: &ObjectName) -> Result<Self> {
        let reference = object_name_to_table_reference(name.clone(), true)?;
        let engine_name = engine_name(&reference)?;
        let view = context.pinned.snapshot.table(&engine_name)?;
        let is_lent =
            engine_name.schema == DEFAULT_SCHEMA && context.call.locals.contains_key(&engine_name.table);
        if is_lent {
            let why = "it is an object lent to this statement; rename the variable to reach the table";
            return Err(Error::invalid(format!("table {engine_name}"), why));
        }
        Ok(Self { reference, def: Arc::clone(view.def()), view })
    }

    /// The table with its hidden key visible.
    pub(super) fn with_row_id(&self, context: &Context<'_>) -> Arc<dyn TableSource> {
        let table = TrilithTable::new(context.pinned.clone(), self.view.clone());
        provider_as_source(Arc::new(table.with_row_id()))
    }

    /// The table as a source of rows.
    pub(super) fn source(&self, context: &Context<'_>) -> Arc<dyn TableSource> {
        provider_as_source(Arc::new(TrilithTable::new(context.pinned.clone(), self.view.clone())))
    }

    /// Position of a column; an error that lists the columns there are.
    pub(super) fn column(&self, name: &str) -> Result<usize> {
        Ok(self.def.require_column(name)?)
    }

    /// The key, or an error that says why one is needed.
    pub(super) fn require_key(&self, clause: &str) -> Result<&[usize]> {
        if self.def.is_keyed() {
            return Ok(self.def.key_columns());
        }
        let why = "it needs a table with a primary key; create the table with PRIMARY KEY";
        Err(Error::invalid(format!("{clause} on table {}", self.def.name), why))
    }
}

/// The name a table has in the engine.
pub(super) fn engine_name(reference: &TableReference) -> Result<TableName> {
    let resolved: ResolvedTableReference = reference.clone().resolve(CATALOG, DEFAULT_SCHEMA);
    if resolved.catalog.as_ref() != CATALOG {
        return Err(Error::not_found("catalog", resolved.catalog.as_ref()));
    }
    if matches!(resolved.schema.as_ref(), SYSTEM_SCHEMA | "information_schema") {
        let why = "tables of this schema describe the database and cannot be changed";
        return Err(Error::invalid(format!("table {reference}"), why));
    }
    let name = TableName::new(resolved.schema.as_ref(), resolved.table.as_ref());
    if passing::is_passing(&name) {
        return Err(Error::invalid(
            format!("table {reference}"),
            "names of this form are for tables being created",
        ));
    }
    Ok(name)
}

/// The name of a table in a statement, in the engine's terms.
pub(super) fn table_name(name: &ObjectName) -> Result<TableName> {
    engine_name(&object_name_to_table_reference(name.clone(), true)?)
}

/// The name of a schema in a statement.
pub(super) fn schema_name(name: &ObjectName) -> Result<String> {
    let parts: Vec<String> = name.0.iter().filter_map(|part| part.as_ident()).map(folded).collect();
    let schema = match parts.as_slice() {
        [schema] => schema,
        [catalog, schema] if catalog == CATALOG => schema,
        _ => return Err(Error::not_found("catalog", name.to_string())),
    };
    if matches!(schema.as_str(), SYSTEM_SCHEMA | "information_schema") {
        let taken = EngineError::AlreadyExists { entity: "system schema".into(), name: schema.clone() };
        return Err(taken.into());
    }
    Ok(schema.clone())
}

/// An identifier as SQL folds it: unquoted names are lower case.
pub(super) fn folded(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_ascii_lowercase(),
    }
}

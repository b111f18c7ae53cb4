//! The tables that search functions name, and what a scan of one must read.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{
    DFSchema, ParamValues, TableReference, internal_err, plan_datafusion_err, plan_err,
};
use datafusion::error::Result;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::expressions::col as physical_column;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExec;
use trilith_engine::{Error as EngineError, TableName};

use super::rows::SearchedRows;
use crate::error::external;
use crate::query::catalog::DEFAULT_SCHEMA;
use crate::query::connection::Pinned;
use crate::query::scan::{ScanExec, pushdown};
use crate::query::schema::LocalTables;
use crate::query::table::TrilithTable;

/// What a function finds tables in: one snapshot, what the caller lends, and the parameters of one call.
#[derive(Clone)]
pub(crate) struct Tables {
    pinned: Pinned,
    locals: LocalTables,
    pub(super) params: Option<ParamValues>,
}

impl Tables {
    /// The tables of `pinned` and those the caller lends.
    pub(crate) fn new(pinned: Pinned, locals: LocalTables, params: Option<ParamValues>) -> Self {
        Self { pinned, locals, params }
    }

    /// The table of a name: verbatim if there is one, else read as SQL reads names.
    pub(super) fn table(&self, name: &str) -> Result<Arc<dyn TableProvider>> {
        if let Some(local) = self.locals.get(name) {
            return Ok(Arc::clone(local));
        }
        let parsed = TableReference::parse_str(name);
        let schema = parsed.schema().unwrap_or(DEFAULT_SCHEMA);
        let candidates = [TableName::public(name), TableName::new(schema, parsed.table())];
        for candidate in candidates {
            match self.pinned.snapshot.table(&candidate) {
                Ok(view) => return Ok(Arc::new(TrilithTable::new(self.pinned.clone(), view))),
                Err(EngineError::NotFound { .. }) => {}
                Err(error) => return Err(external(error)),
            }
        }
        Err(external(EngineError::NotFound { entity: "table", name: name.to_owned() }))
    }

    /// As [`Tables::table`], one of this database.
    pub(super) fn own_table(&self, function: &str, name: &str) -> Result<Arc<dyn TableProvider>> {
        let table = self.table(name)?;
        match table.is::<TrilithTable>() {
            true => Ok(table),
            false => plan_err!("{function}: {name:?} is no table of this database; store it to search it"),
        }
    }
}

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tables(snapshot {})", self.pinned.snapshot.seq())
    }
}

/// Refuses a table that has a column of a name that the result gives.
pub(super) fn check_free(function: &str, table: &str, schema: &Schema, names: &[&str]) -> Result<()> {
    match names.iter().find(|name| schema.column_with_name(name).is_some()) {
        None => Ok(()),
        Some(name) => Err(plan_datafusion_err!(
            "{function}: table {table:?} has a column {name:?} of its own; rename it"
        )),
    }
}

/// The table's columns that a search needs, in their order; `searched` are those it searches.
pub(super) fn needed_columns(
    table: &Schema,
    projection: Option<&Vec<usize>>,
    filters: &[Expr],
    searched: &[&str],
) -> Result<Vec<usize>> {
    let all: Vec<usize> = (0..table.fields().len()).collect();
    let wanted = projection.unwrap_or(&all).iter().copied().filter(|at| *at < all.len());
    let mut columns: BTreeSet<usize> = wanted.collect();
    for name in searched {
        columns.insert(table.index_of(name)?);
    }
    for column in filters.iter().flat_map(Expr::column_refs) {
        columns.insert(table.index_of(&column.name)?);
    }
    Ok(columns.into_iter().collect())
}

/// The rows of a table of this database that a search looks at: a scan of `columns` under conditions.
pub(super) async fn searched_rows(
    state: &dyn Session,
    table: &dyn TableProvider,
    columns: &Vec<usize>,
    filters: &[Expr],
) -> Result<SearchedRows> {
    let mut scan = table.scan(state, Some(columns), filters, None).await?;
    if !scan.is::<ScanExec>() {
        // A condition on the whole key became a lookup, which is no scan; the search applies it as well.
        scan = table.scan(state, Some(columns), &[], None).await?;
    }
    let Some(scan) = scan.downcast_ref::<ScanExec>() else {
        return internal_err!("a scan without conditions is {}", scan.name());
    };
    let schema = scan.schema();
    let condition = conjunction(filters.iter().cloned());
    let filter = condition
        .map(|all| state.create_physical_expr(all, &DFSchema::try_from(Arc::clone(&schema))?))
        .transpose()?;
    Ok(SearchedRows::under(Arc::clone(scan.plan()), filter.as_slice()))
}

/// The wanted columns of a search's result, by their names in `schema`.
pub(super) fn projected(
    found: Arc<dyn ExecutionPlan>,
    schema: &SchemaRef,
    projection: Option<&Vec<usize>>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let all: Vec<usize> = (0..schema.fields().len()).collect();
    let shown = projection.unwrap_or(&all).iter().map(|at| {
        let name = schema.field(*at).name();
        Ok((physical_column(name, &found.schema())?, name.clone()))
    });
    let shown = shown.collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(ProjectionExec::try_new(shown, found)?))
}

/// Which conditions hold before the rows are chosen: all that a scan takes, but those on columns of the result itself.
pub(super) fn pushed_down(filters: &[&Expr], of_result: &[&str]) -> Vec<TableProviderFilterPushDown> {
    let verdict = |filter: &&Expr| {
        let searched = pushdown::verdict(filter) != TableProviderFilterPushDown::Unsupported;
        let names_result =
            filter.column_refs().iter().any(|column| of_result.contains(&column.name.as_str()));
        if searched && !names_result {
            TableProviderFilterPushDown::Exact
        } else {
            TableProviderFilterPushDown::Unsupported
        }
    };
    filters.iter().map(verdict).collect()
}

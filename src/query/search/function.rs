//! `vector_search('table', 'column', query, k, 'metric', recall)`: a table function with all columns of the
//! `k` nearest rows and their `_distance`, nearest first.
//!
//! It plans `SELECT *, distance(column, query) AS _distance FROM table WHERE ... ORDER BY _distance
//! LIMIT k`: of a table of this database at once, of another's by the planner. Conditions of the query around it hold before the `k` rows
//! are chosen, unless they hold a subquery; rows without a vector are never found.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{Column, DFSchema, ParamValues, TableReference, plan_datafusion_err, plan_err};
use datafusion::datasource::provider_as_source;
use datafusion::error::Result;
use datafusion::logical_expr::{
    Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, ScalarUDF, TableProviderFilterPushDown, TableType,
    lit,
};
use datafusion::physical_expr::expressions::col as physical_column;
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use trilith_engine::{Error as EngineError, TableName};
use trilith_udfs::kernels::Metric;
use trilith_udfs::vector::{self, DistanceFunction};

use super::arguments::Arguments;
use super::many::{FoundMany, vectors};
use super::recognise::recognise;
use crate::error::external;
use crate::query::connection::Pinned;
use crate::query::scan::pushdown;
use crate::query::schema::LocalTables;
use crate::query::table::TrilithTable;

/// Name of the function.
pub(super) const VECTOR_SEARCH: &str = "vector_search";
/// Name of the column with the distance.
pub(super) const DISTANCE: &str = "_distance";

/// The function, over one snapshot and the parameters of one call.
pub(crate) struct VectorSearch {
    pinned: Pinned,
    locals: LocalTables,
    params: Option<ParamValues>,
}

impl VectorSearch {
    /// Name it is registered under.
    pub(crate) const NAME: &'static str = VECTOR_SEARCH;

    /// The function over the tables of `pinned` and those the caller lends.
    pub(crate) fn new(pinned: Pinned, locals: LocalTables, params: Option<ParamValues>) -> Self {
        Self { pinned, locals, params }
    }

    /// The table of a name: verbatim if there is one, else read as SQL reads names.
    fn table(&self, name: &str) -> Result<Arc<dyn TableProvider>> {
        if let Some(local) = self.locals.get(name) {
            return Ok(Arc::clone(local));
        }
        let parsed = TableReference::parse_str(name);
        let schema = parsed.schema().unwrap_or(super::super::catalog::DEFAULT_SCHEMA);
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
}

impl fmt::Debug for VectorSearch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VectorSearch(snapshot {})", self.pinned.snapshot.seq())
    }
}

impl TableFunctionImpl for VectorSearch {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let arguments = Arguments::read(args.exprs(), self.params.as_ref())?;
        let table = self.table(&arguments.table)?;
        match vectors(&arguments.query) {
            Some(queries) => {
                let function = distance_udf(arguments.metric, arguments.recall);
                Ok(Arc::new(FoundMany::new(table, &arguments, queries, function)?))
            }
            None => Ok(Arc::new(Found::new(table, &arguments)?)),
        }
    }
}

/// The rows that one call finds.
struct Found {
    table: Arc<dyn TableProvider>,
    vector: Expr,
    distance: Expr,
    k: usize,
    schema: SchemaRef,
}

impl Found {
    fn new(table: Arc<dyn TableProvider>, arguments: &Arguments) -> Result<Self> {
        let schema = vector_column(&*table, arguments)?;
        let vector = Expr::Column(Column::new_unqualified(&arguments.column));
        let distance = distance_udf(arguments.metric, arguments.recall)
            .call(vec![vector.clone(), lit(arguments.query.clone())]);
        let nullable = distance.nullable(&DFSchema::try_from(Arc::clone(&schema))?)?;
        let mut fields = schema.fields().to_vec();
        fields.push(Arc::new(Field::new(DISTANCE, DataType::Float64, nullable)));
        Ok(Self { table, vector, distance, k: arguments.k, schema: Arc::new(Schema::new(fields)) })
    }

    /// The query that this is, with conditions on the table's columns.
    fn plan(&self, filters: &[Expr], projection: Option<&[usize]>) -> Result<LogicalPlan> {
        let source = provider_as_source(Arc::clone(&self.table));
        let mut plan =
            LogicalPlanBuilder::scan("searched", source, None)?.filter(self.vector.clone().is_not_null())?;
        for filter in filters {
            plan = plan.filter(filter.clone())?;
        }
        let columns = self.table.schema();
        let mut outputs: Vec<Expr> = columns.fields().iter().map(|field| column(field.name())).collect();
        outputs.push(self.distance.clone().alias(DISTANCE));
        plan = plan.project(outputs)?.sort_with_limit([column(DISTANCE).sort(true, false)], Some(self.k))?;
        if let Some(projection) = projection {
            let wanted: Vec<Expr> =
                projection.iter().map(|at| column(self.schema.field(*at).name())).collect();
            plan = plan.project(wanted)?;
        }
        plan.build()
    }
}

impl Found {
    /// What [`Found::plan`] would become, without a second run of the planner; `None` for a table of somebody else, or a
    /// plan that is no search.
    async fn search(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        if self.table.downcast_ref::<TrilithTable>().is_none() {
            return Ok(None);
        }
        let vector = self.vector.column_refs().into_iter().map(Column::name).next().unwrap_or_default();
        let columns = needed_columns(&self.table.schema(), projection, filters, vector)?;
        let scan = self.table.scan(state, Some(&columns), filters, None).await?;
        let schema = DFSchema::try_from(scan.schema())?;
        let physical = |expr: &Expr| state.create_physical_expr(expr.clone(), &schema);
        let predicate = filters.iter().cloned().fold(self.vector.clone().is_not_null(), Expr::and);
        let distance = physical(&self.distance)?;
        let key = PhysicalSortExpr::new(Arc::clone(&distance), SortOptions::new(false, false));
        let filtered = Arc::new(FilterExec::try_new(physical(&predicate)?, Arc::clone(&scan))?);
        let sort = SortExec::new([key].into(), filtered).with_fetch(Some(self.k));
        let Some(search) = recognise(&sort)? else { return Ok(None) };
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        let shown = projection.unwrap_or(&all).iter().map(|at| self.shown(*at, &distance, &search));
        let shown = shown.collect::<Result<Vec<_>>>()?;
        Ok(Some(Arc::new(ProjectionExec::try_new(shown, search)?)))
    }

    /// An output column of the search, and its name.
    fn shown(
        &self,
        at: usize,
        distance: &Arc<dyn PhysicalExpr>,
        search: &Arc<dyn ExecutionPlan>,
    ) -> Result<(Arc<dyn PhysicalExpr>, String)> {
        let name = self.schema.field(at).name();
        if at == self.schema.fields().len() - 1 {
            return Ok((Arc::clone(distance), name.clone()));
        }
        Ok((physical_column(name, &search.schema())?, name.clone()))
    }
}

/// The table's columns, once it is known that the one to search holds vectors.
pub(super) fn vector_column(table: &dyn TableProvider, arguments: &Arguments) -> Result<SchemaRef> {
    let (schema, column) = (table.schema(), &arguments.column);
    let (_, field) = schema.column_with_name(column).ok_or_else(|| {
        external(EngineError::NotFound { entity: "column", name: format!("{}.{column}", arguments.table) })
    })?;
    if !vector::is_vector(field.data_type()) {
        let found = crate::query::types::sql_name(field);
        return plan_err!(
            "vector_search: column {column:?} holds {found}, not vectors; name a VECTOR(n) column"
        );
    }
    if schema.column_with_name(DISTANCE).is_some() {
        return Err(plan_datafusion_err!(
            "vector_search: table {:?} has a column {DISTANCE:?} of its own; rename it",
            arguments.table
        ));
    }
    Ok(schema)
}

/// The table's columns that a search needs, in their order.
pub(super) fn needed_columns(
    table: &Schema,
    projection: Option<&Vec<usize>>,
    filters: &[Expr],
    vector: &str,
) -> Result<Vec<usize>> {
    let all: Vec<usize> = (0..table.fields().len()).collect();
    let wanted = projection.unwrap_or(&all).iter().copied().filter(|at| *at < all.len());
    let mut columns: BTreeSet<usize> = wanted.collect();
    columns.insert(table.index_of(vector)?);
    for column in filters.iter().flat_map(Expr::column_refs) {
        columns.insert(table.index_of(&column.name)?);
    }
    Ok(columns.into_iter().collect())
}

/// Which conditions hold before the nearest are chosen: all that a scan takes, but those on columns of the result itself.
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

fn column(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

fn distance_udf(metric: Metric, recall: Option<f64>) -> ScalarUDF {
    let exact = match metric {
        Metric::Cosine => vector::cosine_distance_udf(),
        Metric::L2 => vector::l2_distance_udf(),
        Metric::InnerProduct => vector::negative_inner_product_udf(),
        Metric::L1 => vector::l1_distance_udf(),
        Metric::Hamming => vector::hamming_distance_udf(),
        Metric::Jaccard => vector::jaccard_distance_udf(),
    };
    match (recall, exact.inner().downcast_ref::<DistanceFunction>()) {
        (Some(recall), Some(function)) => function.with_recall(recall),
        _ => exact,
    }
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{VECTOR_SEARCH}({}, k={})", self.distance, self.k)
    }
}

#[async_trait]
impl TableProvider for Found {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(pushed_down(filters, &[DISTANCE]))
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if let Some(search) = self.search(state, projection, filters).await? {
            return Ok(search);
        }
        let mut plan = self.plan(filters, projection.map(Vec::as_slice))?;
        if limit.is_some() {
            plan = LogicalPlanBuilder::from(plan).limit(0, limit)?.build()?;
        }
        state.create_physical_plan(&plan).await
    }
}

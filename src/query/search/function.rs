//! `vector_search('table', 'column', query, k, 'metric', recall)`: a table function with all columns of the
//! `k` nearest rows and their `_distance`, nearest first.
//!
//! It plans `SELECT *, distance(column, query) AS _distance FROM table WHERE ... ORDER BY _distance
//! LIMIT k`, so it costs what that costs. Conditions of the query around it hold before the `k` rows
//! are chosen, unless they hold a subquery; rows without a vector are never found.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{Column, ParamValues, TableReference, plan_datafusion_err, plan_err};
use datafusion::datasource::provider_as_source;
use datafusion::error::Result;
use datafusion::logical_expr::{
    Expr, LogicalPlan, LogicalPlanBuilder, ScalarUDF, TableProviderFilterPushDown, TableType, lit,
};
use datafusion::physical_plan::ExecutionPlan;
use trilith_engine::{Error as EngineError, TableName};
use trilith_udfs::kernels::Metric;
use trilith_udfs::vector::{self, DistanceFunction};

use super::arguments::Arguments;
use crate::error::external;
use crate::query::connection::Pinned;
use crate::query::scan::pushdown;
use crate::query::schema::LocalTables;
use crate::query::table::TrilithTable;

/// Name of the function.
pub(super) const VECTOR_SEARCH: &str = "vector_search";
/// Name of the column with the distance.
const DISTANCE: &str = "_distance";

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
        Ok(Arc::new(Found::new(table, &arguments)?))
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
        let schema = table.schema();
        let column = &arguments.column;
        let (_, field) = schema.column_with_name(column).ok_or_else(|| {
            external(EngineError::NotFound {
                entity: "column",
                name: format!("{}.{column}", arguments.table),
            })
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
        let vector = Expr::Column(Column::new_unqualified(column));
        let distance = distance_udf(arguments.metric, arguments.recall)
            .call(vec![vector.clone(), lit(arguments.query.clone())]);
        let mut found = Self { table, vector, distance, k: arguments.k, schema };
        found.schema = Arc::clone(found.plan(&[], None)?.schema().inner());
        Ok(found)
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
        let verdict = |filter: &&Expr| {
            let searched = pushdown::verdict(filter) != TableProviderFilterPushDown::Unsupported;
            let before = searched && !filter.column_refs().iter().any(|column| column.name == DISTANCE);
            if before { TableProviderFilterPushDown::Exact } else { TableProviderFilterPushDown::Unsupported }
        };
        Ok(filters.iter().map(verdict).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut plan = self.plan(filters, projection.map(Vec::as_slice))?;
        if limit.is_some() {
            plan = LogicalPlanBuilder::from(plan).limit(0, limit)?.build()?;
        }
        state.create_physical_plan(&plan).await
    }
}

//! `vector_search('table', 'column', query, k, 'metric', recall)`: a table function with all columns of the
//! `k` nearest rows and their `_distance`, nearest first.
//!
//! It plans `SELECT *, distance(column, query) AS _distance FROM table WHERE ... ORDER BY _distance
//! LIMIT k`: of a table of this database at once, of another's by the planner. Conditions of the query around it hold before the `k` rows
//! are chosen, unless they hold a subquery; rows without a vector are never found.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::ConfigOptions;
use datafusion::common::{Column, plan_err};
use datafusion::datasource::provider_as_source;
use datafusion::error::Result;
use datafusion::logical_expr::{
    Expr, LogicalPlan, LogicalPlanBuilder, ScalarUDF, TableProviderFilterPushDown, TableType, lit,
};
use datafusion::physical_expr::expressions::{Literal, col as physical_column};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::scalar::ScalarValue;
use trilith_udfs::kernels::Metric;
use trilith_udfs::vector::{self, DistanceFunction, Effort, is_vector};

use super::arguments::Arguments;
use super::call::{Call, Most};
use super::diverse::Diverse;
use super::exec::{KnnExec, Shown};
use super::knn::{KnnSearch, Query};
use super::many::{FoundMany, vectors};
use super::nearest::{Nulls, Placement};
use super::per::{Output, PerGroupExec};
use super::range::Within;
use super::tables::{Tables, needed_columns, pushed_down, searched_rows};
use crate::query::parse::quoted;
use crate::query::table::TrilithTable;

/// Name of the column with the distance.
pub(super) const DISTANCE: &str = "_distance";

/// The rows that a call finds.
///
/// # Errors
/// When the table has no such column, or an argument is of the wrong kind.
pub(super) fn found(tables: &Tables, call: &Call) -> Result<Arc<dyn TableProvider>> {
    let name = call.text("table")?;
    let table = tables.table(&name)?;
    let arguments = Arguments::read(call, (&name, &*table))?;
    if !arguments.per.is_empty() {
        let table = tables.own_table(call.signature.name, &name)?;
        return match vectors(&arguments.query).is_none() && arguments.diversity == 0.0 {
            true => Ok(Arc::new(Found::new(table, &arguments)?)),
            false => plan_err!("{}: per is for one vector, and without diversity", call.signature.name),
        };
    }
    match vectors(&arguments.query) {
        Some(_) if arguments.diversity > 0.0 => {
            plan_err!("{}: diversity is for one vector, not for a list of them", call.signature.name)
        }
        Some(queries) => {
            let table = tables.own_table(call.signature.name, &name)?;
            let function = distance_udf(arguments.metric, arguments.effort);
            Ok(Arc::new(FoundMany::new(table, &arguments, queries, function)?))
        }
        None if arguments.diversity > 0.0 => {
            Diverse::over(&arguments, |wider| Ok(Arc::new(Found::new(table, wider)?)))
        }
        None => Ok(Arc::new(Found::new(table, &arguments)?)),
    }
}

/// What the rows of a call are sorted by.
///
/// # Errors
/// When there is no query.
pub(super) fn order(call: &Call) -> Result<String> {
    let groups = call.names("per")?.iter().map(|name| format!("{}, ", quoted(name))).collect::<String>();
    Ok(match vectors(call.value("query")?) {
        Some(_) => " ORDER BY \"_query\", \"_distance\"".to_owned(),
        // Rows come as they were taken.
        None if call.share("diversity")? > 0.0 => String::new(),
        None => format!(" ORDER BY {groups}\"_distance\""),
    })
}

/// The rows that one call finds.
struct Found {
    table: Arc<dyn TableProvider>,
    column: String,
    query: ScalarValue,
    function: Arc<ScalarUDF>,
    metric: Metric,
    k: usize,
    within: Option<f64>,
    per: Vec<String>,
    schema: SchemaRef,
}

impl Found {
    fn new(table: Arc<dyn TableProvider>, arguments: &Arguments) -> Result<Self> {
        let schema = table.schema();
        let function = Arc::new(distance_udf(arguments.metric, arguments.effort));
        let (column, query) = (arguments.column.clone(), arguments.query.clone());
        let nullable = distance(&function, (&column, &query), &schema, Arc::default())?.nullable(&schema)?;
        let mut fields = schema.fields().to_vec();
        fields.push(Arc::new(Field::new(DISTANCE, DataType::Float64, nullable)));
        let Arguments { metric, k, within, .. } = *arguments;
        let (per, schema) = (arguments.per.clone(), Arc::new(Schema::new(fields)));
        Ok(Self { table, column, query, function, metric, k, within, per, schema })
    }

    /// The query that this is, with conditions on the table's columns.
    fn plan(&self, filters: &[Expr], projection: Option<&[usize]>) -> Result<LogicalPlan> {
        let source = provider_as_source(Arc::clone(&self.table));
        let vector = column(&self.column);
        let distance = self.function.call(vec![vector.clone(), lit(self.query.clone())]);
        let mut plan = LogicalPlanBuilder::scan("searched", source, None)?.filter(vector.is_not_null())?;
        for filter in filters {
            plan = plan.filter(filter.clone())?;
        }
        if let Some(within) = self.within {
            plan = plan.filter(distance.clone().lt_eq(lit(within)))?;
        }
        let columns = self.table.schema();
        let mut outputs: Vec<Expr> = columns.fields().iter().map(|field| column(field.name())).collect();
        outputs.push(distance.alias(DISTANCE));
        let most = (self.k < usize::MAX).then_some(self.k);
        plan = plan.project(outputs)?.sort_with_limit([column(DISTANCE).sort(true, false)], most)?;
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
        if !is_vector(self.table.schema().field_with_name(&self.column)?.data_type())
            || filters.iter().any(Expr::is_volatile)
        {
            return Ok(None);
        }
        let searched: Vec<&str> = self.per.iter().chain([&self.column]).map(String::as_str).collect();
        let columns = needed_columns(&self.table.schema(), projection, filters, &searched)?;
        let rows = searched_rows(state, &*self.table, &columns, filters).await?;
        let read = rows.scan.schema();
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        let wanted = projection.unwrap_or(&all);
        // The distance has a name that no column of the table has.
        let stored: Vec<Option<usize>> =
            wanted.iter().map(|at| read.index_of(self.schema.field(*at).name()).ok()).collect();
        let schema = Arc::new(self.schema.project(wanted)?);
        let placement = Placement { nulls: Nulls::Excluded, nan_first: false };
        let (vector, within) = (read.index_of(&self.column)?, self.within.map(Within::at_most));
        let search = KnnSearch { vector, rows, placement, within };
        let query = Query {
            function: ScalarUDF::clone(&self.function),
            metric: self.metric,
            vector: Arc::new(Literal::new(self.query.clone())),
        };
        if self.per.is_empty() {
            let shown = Shown { columns: stored, schema };
            return Ok(Some(Arc::new(KnnExec::shown(search, query, self.k, shown))));
        }
        let groups = self.per.iter().map(|name| read.index_of(name)).collect::<Result<_, _>>()?;
        let outputs =
            stored.into_iter().map(|column| column.map_or(Output::Distance, Output::Stored)).collect();
        Ok(Some(Arc::new(PerGroupExec::new((search, query), groups, self.k, (outputs, schema)))))
    }
}

/// The distance of a column of `schema` from a query. Made by hand: the planner would write the query out as a name.
fn distance(
    function: &Arc<ScalarUDF>,
    (column, query): (&str, &ScalarValue),
    schema: &Schema,
    config: Arc<ConfigOptions>,
) -> Result<Arc<dyn PhysicalExpr>> {
    let arguments: Vec<Arc<dyn PhysicalExpr>> =
        vec![physical_column(column, schema)?, Arc::new(Literal::new(query.clone()))];
    Ok(Arc::new(ScalarFunctionExpr::try_new(Arc::clone(function), arguments, schema, config)?))
}

fn column(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

pub(super) fn distance_udf(metric: Metric, effort: Effort) -> ScalarUDF {
    let plain = match metric {
        Metric::Cosine => vector::cosine_distance_udf(),
        Metric::L2 => vector::l2_distance_udf(),
        Metric::InnerProduct => vector::negative_inner_product_udf(),
        Metric::L1 => vector::l1_distance_udf(),
        Metric::Hamming => vector::hamming_distance_udf(),
        Metric::Jaccard => vector::jaccard_distance_udf(),
    };
    match plain.inner().downcast_ref::<DistanceFunction>() {
        Some(function) => function.with_effort(effort),
        None => plain,
    }
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vector_search({}({}), k={})", self.function.name(), self.column, Most(self.k))
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

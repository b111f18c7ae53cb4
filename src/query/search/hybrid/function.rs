//! `hybrid_search('table', 'text column', 'words', 'vector column', vector, k, ...)`: a table function with all columns of
//! the `k` rows that rank best by words and by distance together, best first.
//!
//! Its columns are the table's, `_text_score` and `_distance` (null where that search did not find the row) and `_score`.
//! Conditions of the query around it hold before either search chooses.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::plan_err;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, ScalarUDF, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::expressions::Literal;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::scalar::ScalarValue;
use trilith_udfs::kernels::Metric;

use super::exec::{HybridExec, Searches};
use super::fuse::Weights;
use crate::query::search::arguments::METRIC_DEFAULT;
use crate::query::search::call::{Call, Default, K_DEFAULT, Signature, optional, required};
use crate::query::search::function::{DISTANCE, check_vectors, distance_udf};
use crate::query::search::knn::Query;
use crate::query::search::many::vectors;
use crate::query::search::tables::{
    Tables, check_free, needed_columns, projected, pushed_down, searched_rows,
};
use crate::query::search::text::{Asked, LANGUAGE_DEFAULT, SCORE};

/// The function.
pub(crate) static HYBRID_SEARCH: Signature = Signature {
    name: "hybrid_search",
    arguments: &[
        required("table"),
        required("text_column"),
        required("words"),
        required("vector_column"),
        required("vector"),
        optional("k", Default::Whole(K_DEFAULT)),
        optional("metric", Default::Text(METRIC_DEFAULT)),
        optional("recall", Default::Real(1.0)),
        optional("language", Default::Text(LANGUAGE_DEFAULT)),
        optional("operator", Default::Text("or")),
        optional("fusion", Default::Text("rrf")),
        optional("text_weight", Default::Real(1.0)),
        optional("vector_weight", Default::Real(1.0)),
    ],
    example: "hybrid_search('pages', 'body', 'green tea', 'embedding', $1, 10)",
};

/// Name of the column with the score by words.
const TEXT_SCORE: &str = "_text_score";
/// Each search gives this many rows at least, and four times `k`: a row that neither has among them is none of the best.
const DEPTH_MIN: usize = 100;

/// The function, over the tables of one call.
#[derive(Debug)]
pub(crate) struct HybridSearch(pub Tables);

impl TableFunctionImpl for HybridSearch {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let call = Call::read(&HYBRID_SEARCH, args.exprs(), self.0.params.as_ref())?;
        let name = call.text("table")?;
        let table = self.0.own_table(HYBRID_SEARCH.name, &name)?;
        let schema = table.schema();
        check_free(HYBRID_SEARCH.name, &name, &schema, &[TEXT_SCORE, DISTANCE, SCORE])?;
        let vector_column = call.text("vector_column")?;
        check_vectors(HYBRID_SEARCH.name, &name, &schema, &vector_column)?;
        let vector = call.query("vector", "a vector such as [0.1, 0.2]")?;
        if vectors(&vector).is_some() {
            return plan_err!("hybrid_search: give one vector, not a list of them");
        }
        let metric = call.metric("metric")?;
        let weights = Weights {
            fusion: call.text("fusion")?.parse()?,
            text: call.weight("text_weight")?,
            vector: call.weight("vector_weight")?,
        };
        let searches = Asks {
            asked: Asked::read(&call, "text_column", "words", &name, &schema)?,
            vector_column,
            vector,
            metric,
            distance: distance_udf(metric, call.recall("recall")?),
            weights,
        };
        Ok(Arc::new(Found { schema: found_schema(&schema), table, searches, k: call.count("k")? }))
    }
}

/// What is asked of each search.
struct Asks {
    asked: Asked,
    vector_column: String,
    vector: ScalarValue,
    metric: Metric,
    distance: ScalarUDF,
    weights: Weights,
}

/// The rows that one call finds.
struct Found {
    table: Arc<dyn TableProvider>,
    searches: Asks,
    k: usize,
    schema: SchemaRef,
}

/// The columns of `schema` and those that the search adds.
fn found_schema(schema: &Schema) -> SchemaRef {
    let mut fields = schema.fields().to_vec();
    fields.push(Arc::new(Field::new(TEXT_SCORE, DataType::Float64, true)));
    fields.push(Arc::new(Field::new(DISTANCE, DataType::Float64, true)));
    fields.push(Arc::new(Field::new(SCORE, DataType::Float64, false)));
    Arc::new(Schema::new(fields))
}

impl Asks {
    /// Both searches over the columns of a scan.
    fn within(&self, scan: &Schema, k: usize) -> Result<Searches> {
        let query = Query {
            function: self.distance.clone(),
            metric: self.metric,
            vector: Arc::new(Literal::new(self.vector.clone())),
        };
        // A vector of another length is refused when it is planned.
        query.known()?;
        Ok(Searches {
            wording: self.asked.within(scan)?,
            vector: scan.index_of(&self.vector_column)?,
            query,
            weights: self.weights,
            depth: k.saturating_mul(4).max(DEPTH_MIN),
        })
    }
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "hybrid_search({}, {}, k={})",
            self.searches.asked.column, self.searches.vector_column, self.k
        )
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
        Ok(pushed_down(filters, &[TEXT_SCORE, DISTANCE, SCORE]))
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let searched = [self.searches.asked.column.as_str(), &self.searches.vector_column];
        let columns = needed_columns(&self.table.schema(), projection, filters, &searched)?;
        let rows = searched_rows(state, &*self.table, &columns, filters).await?;
        let scanned = rows.scan.schema();
        let searches = self.searches.within(&scanned, self.k)?;
        let k = limit.map_or(self.k, |limit| limit.min(self.k));
        let search = HybridExec::new(rows, searches, k, found_schema(&scanned))?;
        projected(Arc::new(search), &self.schema, projection)
    }
}

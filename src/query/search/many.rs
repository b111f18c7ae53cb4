//! `vector_search` with a list of vectors in the place of one: the `k` nearest rows of each.
//!
//! Its rows have two columns more than the table: `_query`, the vector's place in the list, from 0, and `_distance`. Conditions
//! hold before the nearest of each are chosen. Rows without a vector are never found, nor is anything for a vector that is null.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, ScalarUDF, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::scalar::ScalarValue;

use super::arguments::Arguments;
use super::batch::KnnBatchExec;
use super::call::Most;
use super::each::Questions;
use super::function::DISTANCE;
use super::knn::KnnSearch;
use super::nearest::{Nulls, Placement};
use super::range::Within;
use super::tables::{check_free, needed_columns, projected, pushed_down, searched_rows};

/// Name of the column with the place of the query.
pub(super) const QUERY: &str = "_query";

/// The rows that one call finds.
pub(super) struct FoundMany {
    table: Arc<dyn TableProvider>,
    column: String,
    queries: ArrayRef,
    function: ScalarUDF,
    k: usize,
    within: Option<f64>,
    schema: SchemaRef,
}

/// The vectors of a list of vectors; `None` when it is one vector.
pub(super) fn vectors(query: &ScalarValue) -> Option<ArrayRef> {
    let values: ArrayRef = match query {
        ScalarValue::List(list) => Arc::clone(list.values()),
        ScalarValue::LargeList(list) => Arc::clone(list.values()),
        ScalarValue::FixedSizeList(list) => Arc::clone(list.values()),
        _ => return None,
    };
    let nested = matches!(
        values.data_type(),
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(_, _)
    );
    nested.then_some(values)
}

impl FoundMany {
    /// The rows nearest to each of `queries`.
    ///
    /// # Errors
    /// When the table has a column of a name that the result gives.
    pub(super) fn new(
        table: Arc<dyn TableProvider>,
        arguments: &Arguments,
        queries: ArrayRef,
        function: ScalarUDF,
    ) -> Result<Self> {
        let schema = table.schema();
        check_free("vector_search", &arguments.table, &schema, &[QUERY])?;
        let mut fields = schema.fields().to_vec();
        fields.push(Arc::new(Field::new(QUERY, DataType::Int64, false)));
        fields.push(Arc::new(Field::new(DISTANCE, DataType::Float64, false)));
        let (column, schema) = (arguments.column.clone(), Arc::new(Schema::new(fields)));
        let Arguments { k, within, .. } = *arguments;
        Ok(Self { table, column, queries, function, k, within, schema })
    }
}

impl fmt::Debug for FoundMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vector_search({}, {} vectors, k={})", self.column, self.queries.len(), Most(self.k))
    }
}

#[async_trait]
impl TableProvider for FoundMany {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(pushed_down(filters, &[DISTANCE, QUERY]))
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = needed_columns(&self.table.schema(), projection, filters, &[&self.column])?;
        let rows = searched_rows(state, &*self.table, &columns, filters).await?;
        let inner = rows.scan.schema();
        let placement = Placement { nulls: Nulls::Excluded, nan_first: false };
        let (vector, within) = (inner.index_of(&self.column)?, self.within.map(Within::at_most));
        let search = KnnSearch { rows, vector, placement, within };
        let mut fields = inner.fields().to_vec();
        fields.extend(self.schema.fields().iter().rev().take(2).rev().cloned());
        let batch = KnnBatchExec::new(
            search,
            Questions::new(&self.function, &self.queries, self.k)?,
            Arc::new(Schema::new(fields)),
        );
        projected(Arc::new(batch), &self.schema, projection)
    }
}

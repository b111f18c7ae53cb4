//! What `vector_search(table, column, query, k, metric, recall, diversity, within, per)` is called with.

use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::catalog::TableProvider;
use datafusion::common::plan_err;
use datafusion::error::Result;
use datafusion::scalar::ScalarValue;
use trilith_engine::Error as EngineError;
use trilith_udfs::kernels::Metric;
use trilith_udfs::vector::Effort;

use super::call::{Call, Default, K_DEFAULT, Signature, optional, required};
use super::columns::VECTORS;
use super::function::DISTANCE;
use super::tables::check_free;
use crate::error::external;
use crate::query::types::sql_name;

/// The function.
pub(super) static VECTOR_SEARCH: Signature = Signature {
    name: "vector_search",
    arguments: &[
        required("table"),
        optional("column", Default::OnlyColumn),
        required("query"),
        optional("k", Default::Whole(K_DEFAULT)),
        optional("metric", Default::Text(METRIC_DEFAULT)),
        optional("recall", Default::Nothing),
        optional("diversity", Default::Real(0.0)),
        optional("within", Default::Nothing),
        optional("per", Default::Nothing),
        optional("nprobe", Default::Nothing),
        optional("ef_search", Default::Nothing),
        optional("epsilon", Default::Nothing),
        optional("rescore", Default::Nothing),
    ],
    example: "vector_search('items', 'embedding', $1, 10, 'cosine', 0.98)",
};

/// The metric of a call that does not say which.
pub(super) const METRIC_DEFAULT: &str = "cosine";

/// The arguments of one call.
#[derive(Debug)]
pub(super) struct Arguments {
    pub table: String,
    pub column: String,
    pub query: ScalarValue,
    /// All when it is the greatest number.
    pub k: usize,
    pub metric: Metric,
    /// What is enough.
    pub effort: Effort,
    /// What being unlike the others counts, from 0 to 1.
    pub diversity: f64,
    /// The greatest distance that is found.
    pub within: Option<f64>,
    /// Columns of each of whose values `k` rows are found; of all rows together when there are none.
    pub per: Vec<String>,
}

impl Arguments {
    /// Reads the arguments of a call that searches `provider`.
    ///
    /// # Errors
    /// When one is of the wrong kind; the message names it.
    pub(super) fn read(call: &Call, (table, provider): (&str, &dyn TableProvider)) -> Result<Self> {
        let (metric, effort, within) =
            (call.metric("metric")?, call.tuned_effort()?, call.distance("within")?);
        let k = call.count_or_all("k")?;
        let column = VECTORS.named_or_only(call, "column", (table, provider))?;
        VECTORS.check(call, (table, provider), &column)?;
        check_free(call.signature.name, table, &provider.schema(), &[DISTANCE])?;
        Ok(Self {
            table: table.to_owned(),
            column,
            query: call.query("query", "a vector such as [0.1, 0.2]")?,
            k,
            metric,
            effort,
            diversity: call.share("diversity")?,
            within,
            per: groups(call, (table, provider))?,
        })
    }

    /// The same for another number of rows.
    pub(super) fn with_k(&self, k: usize) -> Self {
        let (table, column, query) = (self.table.clone(), self.column.clone(), self.query.clone());
        Self { table, column, query, k, per: self.per.clone(), ..*self }
    }
}

/// The columns that `per` names.
fn groups(call: &Call, (table, provider): (&str, &dyn TableProvider)) -> Result<Vec<String>> {
    let (names, schema) = (call.names("per")?, provider.schema());
    for name in &names {
        let missing =
            || external(EngineError::NotFound { entity: "column", name: format!("{table}.{name}") });
        let (_, field) = schema.column_with_name(name).ok_or_else(missing)?;
        if !RowConverter::supports_fields(&[SortField::new(field.data_type().clone())]) {
            let (function, found) = (call.signature.name, sql_name(field));
            return plan_err!("{function}: rows cannot be grouped by column {name:?}, which holds {found}");
        }
    }
    Ok(names)
}

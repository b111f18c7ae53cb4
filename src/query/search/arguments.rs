//! What `vector_search(table, column, query, k, metric, recall)` is called with.

use datafusion::common::ParamValues;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::scalar::ScalarValue;
use trilith_udfs::kernels::Metric;

use super::call::{Call, Default, K_DEFAULT, Signature, optional, required};

/// The function.
pub(super) static VECTOR_SEARCH: Signature = Signature {
    name: "vector_search",
    arguments: &[
        required("table"),
        required("column"),
        required("query"),
        optional("k", Default::Whole(K_DEFAULT)),
        optional("metric", Default::Text(METRIC_DEFAULT)),
        optional("recall", Default::Real(1.0)),
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
    pub k: usize,
    pub metric: Metric,
    /// `None` for an exact search.
    pub recall: Option<f64>,
}

impl Arguments {
    /// Reads the arguments of a call.
    ///
    /// # Errors
    /// When one is missing, is no constant, or is of the wrong kind; the message names it.
    pub(super) fn read(arguments: &[Expr], params: Option<&ParamValues>) -> Result<Self> {
        let call = Call::read(&VECTOR_SEARCH, arguments, params)?;
        Ok(Self {
            table: call.text("table")?,
            column: call.text("column")?,
            query: call.query("query", "a vector such as [0.1, 0.2]")?,
            k: call.count("k")?,
            metric: call.metric("metric")?,
            recall: call.recall("recall")?,
        })
    }
}

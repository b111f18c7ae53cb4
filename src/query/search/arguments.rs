//! What `vector_search(table, column, query, k, metric, recall)` is called with, checked one by one.
//!
//! Each is a constant or a parameter; a parameter's value is taken from the call, because a table
//! function is asked for its columns before DataFusion puts parameters into plans.

use std::str::FromStr;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{ParamValues, plan_datafusion_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::scalar::ScalarValue;
use trilith_udfs::kernels::Metric;

/// Names of the arguments, in their order.
pub(super) const NAMES: [&str; 6] = ["table", "column", "query", "k", "metric", "recall"];
/// Rows that are found when a call does not say how many.
pub(super) const K_DEFAULT: usize = 10;
/// Position of `k`.
pub(super) const K: usize = 3;
/// Position of the metric.
pub(super) const METRIC: usize = 4;
/// The metric of a call that does not say which.
pub(super) const METRIC_DEFAULT: &str = "cosine";
const RECALL: usize = 5;

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
        if !(3..=NAMES.len()).contains(&arguments.len()) {
            return plan_err!(
                "vector_search takes a table, a column, a query vector, and optionally k, a metric and a recall: \
                 vector_search('items', 'embedding', $1, 10, 'cosine', 0.98); got {} argument(s)",
                arguments.len()
            );
        }
        let values = (0..).zip(arguments).map(|(at, argument)| constant(at, argument, params));
        let mut values = values.collect::<Result<Vec<_>>>()?.into_iter();
        let mut next = || values.next().unwrap_or(ScalarValue::Null);
        let (table, column) = (text(0, &next())?, text(1, &next())?);
        let query = next();
        if query.is_null() {
            return plan_err!("vector_search: the query is NULL; give a vector such as [0.1, 0.2]");
        }
        let k = if arguments.len() > K { count(&next())? } else { K_DEFAULT };
        let metric = if arguments.len() > METRIC { metric(&next())? } else { Metric::Cosine };
        let recall = if arguments.len() > RECALL { recall(&next())? } else { None };
        Ok(Self { table, column, query, k, metric, recall })
    }
}

fn constant(at: usize, argument: &Expr, params: Option<&ParamValues>) -> Result<ScalarValue> {
    match (argument, params) {
        (Expr::Literal(value, _), _) => Ok(value.clone()),
        (Expr::Placeholder(placeholder), Some(params)) => {
            Ok(params.get_placeholders_with_values(&placeholder.id)?.value)
        }
        _ => plan_err!(
            "vector_search: the {} must be a constant or a parameter, not {argument}",
            NAMES.get(at).unwrap_or(&"argument")
        ),
    }
}

fn text(at: usize, value: &ScalarValue) -> Result<String> {
    value.try_as_str().flatten().map(str::to_owned).ok_or_else(|| {
        plan_datafusion_err!(
            "vector_search: the {} must be named by a text such as 'items', not {value}",
            NAMES[at]
        )
    })
}

fn count(value: &ScalarValue) -> Result<usize> {
    let whole = value.data_type().is_integer().then(|| value.cast_to(&DataType::UInt64));
    match whole {
        Some(Ok(ScalarValue::UInt64(Some(k)))) if k > 0 => Ok(usize::try_from(k).unwrap_or(usize::MAX)),
        _ => plan_err!("vector_search: k must be a whole number above 0, not {value}"),
    }
}

fn metric(value: &ScalarValue) -> Result<Metric> {
    let name = text(METRIC, value)?;
    Metric::from_str(&name).map_err(|error| plan_datafusion_err!("vector_search: {error}"))
}

/// A search that has to find everything is exact.
fn recall(value: &ScalarValue) -> Result<Option<f64>> {
    match value.cast_to(&DataType::Float64) {
        Ok(ScalarValue::Float64(Some(recall))) if (0.5..1.0).contains(&recall) => Ok(Some(recall)),
        Ok(ScalarValue::Float64(Some(1.0))) => Ok(None),
        _ => plan_err!(
            "vector_search: recall must be a number from 0.5 to 1 (exact, the default), not {value}"
        ),
    }
}

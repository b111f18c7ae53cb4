//! `multivector_search('table', 'column', query, k, 'metric')`: a table function with all columns of the `k` rows whose vectors fit
//! those of a query best, and what `max_sim` says of them as `_score`, best first.
//!
//! Rows without a vector are never found, nor are rows whose score is NaN.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::TableProvider;
use datafusion::common::{plan_datafusion_err, plan_err};
use datafusion::error::Result;
use trilith_udfs::kernels::Metric;
use trilith_udfs::vector::{MaxSimQuery, is_multivector};

use super::ranking::MultivectorRanking;
use crate::query::search::arguments::METRIC_DEFAULT;
use crate::query::search::call::{Call, Default, K_DEFAULT, Signature, optional, required};
use crate::query::search::columns::MULTIVECTORS;
use crate::query::search::ranked::{Ask, RankedTable, Ranking, SCORE};
use crate::query::search::tables::Tables;

/// The function.
pub(crate) static MULTIVECTOR_SEARCH: Signature = Signature {
    name: "multivector_search",
    arguments: &[
        required("table"),
        optional("column", Default::OnlyColumn),
        required("query"),
        optional("k", Default::Whole(K_DEFAULT)),
        optional("metric", Default::Text(METRIC_DEFAULT)),
    ],
    example: "multivector_search('pages', 'tokens', [[0.1, 0.2], [0.3, 0.4]], 10)",
};

/// The rows that a call finds.
///
/// # Errors
/// When the table has no such column, or an argument is of the wrong kind.
pub(crate) fn found(tables: &Tables, call: &Call) -> Result<Arc<dyn TableProvider>> {
    let (name, function) = (call.text("table")?, MULTIVECTOR_SEARCH.name);
    let table = tables.own_table(function, &name)?;
    let column = MULTIVECTORS.named_or_only(call, "column", (&name, &*table))?;
    MULTIVECTORS.check(call, (&name, &*table), &column)?;
    let (query, metric) = query(call)?;
    query.check_fits(table.schema().field_with_name(&column)?.data_type())?;
    let ask = Asked { column, query: Arc::new(query), metric };
    Ok(Arc::new(RankedTable::new(function, (&name, table), Box::new(ask), call.count("k")?)?))
}

fn query(call: &Call) -> Result<(MaxSimQuery, Metric)> {
    let (function, example) = (MULTIVECTOR_SEARCH.name, "a list of vectors such as [[0.1, 0.2], [0.3, 0.4]]");
    let (query, metric) = (call.query("query", example)?, call.metric("metric")?);
    if !is_multivector(&query.data_type()) {
        return plan_err!("{function}: the query is of type {}; give {example}", query.data_type());
    }
    let query = MaxSimQuery::new(function, metric, &query)?;
    let query =
        query.ok_or_else(|| plan_datafusion_err!("{function}: the query has no vector; give {example}"))?;
    Ok((query, metric))
}

/// What a call asks for.
#[derive(Debug)]
struct Asked {
    column: String,
    query: Arc<MaxSimQuery>,
    metric: Metric,
}

impl Ask for Asked {
    fn searched(&self) -> Vec<&str> {
        vec![&self.column]
    }

    fn added(&self) -> Vec<Field> {
        vec![Field::new(SCORE, DataType::Float64, false)]
    }

    fn within(&self, scan: &Schema, _: usize) -> Result<Arc<dyn Ranking>> {
        let column = scan.index_of(&self.column)?;
        Ok(Arc::new(MultivectorRanking { column, query: Arc::clone(&self.query), metric: self.metric }))
    }
}

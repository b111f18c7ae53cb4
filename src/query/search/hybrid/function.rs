//! `hybrid_search('table', 'text column', 'words', 'vector column', vector, k, ...)`: a table function with all columns of
//! the `k` rows that rank best by words and by distance together, best first.
//!
//! Its columns are the table's, `_text_score` and `_distance` (null where that search did not find the row) and `_score`.
//! Conditions of the query around it hold before either search chooses.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::TableProvider;
use datafusion::common::plan_err;
use datafusion::error::Result;
use datafusion::logical_expr::ScalarUDF;
use datafusion::physical_expr::expressions::Literal;
use datafusion::scalar::ScalarValue;
use trilith_udfs::kernels::Metric;

use super::fuse::Weights;
use super::ranking::Searches;
use crate::query::search::arguments::METRIC_DEFAULT;
use crate::query::search::call::{Call, Default, K_DEFAULT, Signature, optional, required};
use crate::query::search::columns::VECTORS;
use crate::query::search::function::{DISTANCE, distance_udf};
use crate::query::search::knn::Query;
use crate::query::search::many::vectors;
use crate::query::search::ranked::{Ask, RankedTable, Ranking, SCORE};
use crate::query::search::tables::Tables;
use crate::query::search::text::{Asked, LANGUAGE_DEFAULT};

/// The function.
pub(crate) static HYBRID_SEARCH: Signature = Signature {
    name: "hybrid_search",
    arguments: &[
        required("table"),
        optional("text_column", Default::OnlyColumn),
        required("words"),
        optional("vector_column", Default::OnlyColumn),
        required("vector"),
        optional("k", Default::Whole(K_DEFAULT)),
        optional("metric", Default::Text(METRIC_DEFAULT)),
        optional("recall", Default::Nothing),
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

/// The rows that a call finds.
///
/// # Errors
/// When the table has no such columns, or an argument is of the wrong kind.
pub(crate) fn found(tables: &Tables, call: &Call) -> Result<Arc<dyn TableProvider>> {
    let name = call.text("table")?;
    let table = tables.own_table(HYBRID_SEARCH.name, &name)?;
    let vector_column = VECTORS.named_or_only(call, "vector_column", (&name, &*table))?;
    VECTORS.check(call, (&name, &*table), &vector_column)?;
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
    let asks = Asks {
        asked: Asked::read(call, ("text_column", "words"), (&name, &*table))?,
        vector_column,
        vector,
        metric,
        distance: distance_udf(metric, call.effort()?),
        weights,
    };
    Ok(Arc::new(RankedTable::new(HYBRID_SEARCH.name, (&name, table), Box::new(asks), call.count("k")?)?))
}

/// What is asked of each search.
#[derive(Debug)]
struct Asks {
    asked: Asked,
    vector_column: String,
    vector: ScalarValue,
    metric: Metric,
    distance: ScalarUDF,
    weights: Weights,
}

impl Ask for Asks {
    fn searched(&self) -> Vec<&str> {
        vec![&self.asked.column, &self.vector_column]
    }

    fn added(&self) -> Vec<Field> {
        let number = |name: &str, nullable| Field::new(name, DataType::Float64, nullable);
        vec![number(TEXT_SCORE, true), number(DISTANCE, true), number(SCORE, false)]
    }

    fn within(&self, scan: &Schema, k: usize) -> Result<Arc<dyn Ranking>> {
        let query = Query {
            function: self.distance.clone(),
            metric: self.metric,
            vector: Arc::new(Literal::new(self.vector.clone())),
        };
        // What is no vector is refused when it is planned.
        query.known()?;
        Ok(Arc::new(Searches {
            wording: self.asked.wording(scan)?,
            vector: scan.index_of(&self.vector_column)?,
            query,
            weights: self.weights,
            depth: k.saturating_mul(4).max(DEPTH_MIN),
        }))
    }
}

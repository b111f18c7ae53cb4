//! The statement behind `Table.search`: the nearest rows are an `ORDER BY distance LIMIT k` like any other.

use pyo3::prelude::*;
use trilith::engine::TableDef;

use crate::error::{invalid, not_found};
use crate::ingest::is_vector;
use crate::statement::{Clauses, quote, quote_table, quote_text};

/// Distance function of each metric.
const METRICS: [(&str, &str); 6] = [
    ("cosine", "cosine_distance"),
    ("l2", "l2_distance"),
    ("inner_product", "negative_inner_product"),
    ("l1", "l1_distance"),
    ("hamming", "hamming_distance"),
    ("jaccard", "jaccard_distance"),
];

/// What `search` is asked for.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Search {
    column: Option<String>,
    k: usize,
    #[pyo3(item("where"))]
    condition: Option<String>,
    metric: String,
    recall: Option<f64>,
    /// Whether there is more than one vector to search for.
    many: bool,
}

/// SQL for the `k` rows nearest to `$1`.
pub(crate) fn search_text(def: &TableDef, request: &Search) -> PyResult<String> {
    let metric = request.metric.as_str();
    let Some((_, distance)) = METRICS.iter().find(|(name, _)| *name == metric) else {
        let names: Vec<&str> = METRICS.iter().map(|(name, _)| *name).collect();
        return Err(invalid(format!("metric {metric:?} is unknown; use one of {}", names.join(", "))));
    };
    let column = match &request.column {
        Some(name) => name.clone(),
        None => only_vector(def)?,
    };
    let clauses = Clauses {
        condition: request.condition.as_deref(),
        order_by: vec!["\"_distance\"".into()],
        limit: Some(request.k),
    };
    if (request.recall.is_some() || request.many) && request.k > 0 {
        let table = quote_text(&quote_table(&def.name));
        let (column, k, recall) = (quote_text(&column), request.k, request.recall.unwrap_or(1.0));
        let source = format!("vector_search({table}, {column}, $1, {k}, '{metric}', {recall:?})");
        let order_by =
            if request.many { vec!["\"_query\"".into(), "\"_distance\"".into()] } else { clauses.order_by };
        return Clauses { order_by, limit: None, ..clauses }.select_from("*", &source);
    }
    let shown = format!("*, {distance}({}, $1) AS \"_distance\"", quote(&column));
    clauses.select(&shown, &def.name)
}

/// The name of the only column of vectors.
pub(crate) fn only_vector(def: &TableDef) -> PyResult<String> {
    let schema = def.schema();
    let mut vectors = schema.fields().iter().filter(|field| is_vector(field));
    match (vectors.next(), vectors.next()) {
        (Some(only), None) => Ok(only.name().clone()),
        (None, _) => Err(not_found(format!("table {} has no vector column to search", def.name))),
        _ => Err(invalid(format!("table {} has several vector columns; name one with column=", def.name))),
    }
}

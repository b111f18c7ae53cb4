//! The statements behind `Table.text_search`, `hybrid_search` and `sparse_search`: calls of the functions of the same names.

use arrow::datatypes::DataType;
use pyo3::prelude::*;
use trilith::engine::{SPARSE_KEY, TableDef};

use crate::error::{invalid, not_found};
use crate::statement::{Clauses, quote_table, quote_text};
use crate::table_search::only_vector;

/// What `text_search` is asked for.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct TextSearch {
    column: Option<String>,
    k: usize,
    #[pyo3(item("where"))]
    condition: Option<String>,
    language: String,
    operator: String,
}

/// What `hybrid_search` is asked for.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct HybridSearch {
    text_column: Option<String>,
    vector_column: Option<String>,
    k: usize,
    #[pyo3(item("where"))]
    condition: Option<String>,
    metric: String,
    recall: Option<f64>,
    language: String,
    operator: String,
    fusion: String,
    text_weight: f64,
    vector_weight: f64,
}

/// What `sparse_search` is asked for.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct SparseSearch {
    column: Option<String>,
    k: usize,
    #[pyo3(item("where"))]
    condition: Option<String>,
}

/// SQL for the `k` rows whose product with the sparse vector `$1` is greatest.
pub(crate) fn sparse_search_text(def: &TableDef, request: &SparseSearch) -> PyResult<String> {
    let column = request.column.clone().map_or_else(|| only_sparse(def), Ok)?;
    let (table, column) = (quote_text(&quote_table(&def.name)), quote_text(&column));
    best_first(&format!("sparse_search({table}, {column}, $1, {})", request.k), request.condition.as_deref())
}

fn only_sparse(def: &TableDef) -> PyResult<String> {
    let schema = def.schema();
    let mut sparse = schema.fields().iter().filter(|field| field.metadata().contains_key(SPARSE_KEY));
    match (sparse.next(), sparse.next()) {
        (Some(only), None) => Ok(only.name().clone()),
        (None, _) => Err(not_found(format!("table {} has no SPARSEVEC column to search", def.name))),
        _ => Err(invalid(format!("table {} has several SPARSEVEC columns; name one with column=", def.name))),
    }
}

/// SQL for the `k` rows that fit the words `$1` best.
pub(crate) fn text_search_text(def: &TableDef, request: &TextSearch) -> PyResult<String> {
    let column = text_column(def, request.column.as_deref())?;
    let (language, operator) = (quote_text(&request.language), quote_text(&request.operator));
    let options = format!("k => {}, language => {language}, operator => {operator}", request.k);
    let table = quote_text(&quote_table(&def.name));
    let source = format!("text_search({table}, {}, $1, {options})", quote_text(&column));
    best_first(&source, request.condition.as_deref())
}

/// SQL for the `k` rows that rank best by the words `$1` and the vector `$2`.
pub(crate) fn hybrid_search_text(def: &TableDef, request: &HybridSearch) -> PyResult<String> {
    let text = text_column(def, request.text_column.as_deref())?;
    let vector = request.vector_column.clone().map_or_else(|| only_vector(def), Ok)?;
    let options = [
        format!("k => {}", request.k),
        format!("metric => {}", quote_text(&request.metric)),
        format!("recall => {:?}", request.recall.unwrap_or(1.0)),
        format!("language => {}", quote_text(&request.language)),
        format!("operator => {}", quote_text(&request.operator)),
        format!("fusion => {}", quote_text(&request.fusion)),
        format!("text_weight => {:?}", request.text_weight),
        format!("vector_weight => {:?}", request.vector_weight),
    ];
    let (table, options) = (quote_text(&quote_table(&def.name)), options.join(", "));
    let (text, vector) = (quote_text(&text), quote_text(&vector));
    let source = format!("hybrid_search({table}, {text}, $1, {vector}, $2, {options})");
    best_first(&source, request.condition.as_deref())
}

fn best_first(source: &str, condition: Option<&str>) -> PyResult<String> {
    let order_by = vec!["\"_score\" DESC".into()];
    Clauses { condition, order_by, limit: None }.select_from("*", source)
}

/// The column that is named, or the only one with text beside the key.
fn text_column(def: &TableDef, named: Option<&str>) -> PyResult<String> {
    if let Some(name) = named {
        return Ok(name.to_owned());
    }
    let is_text =
        |data_type: &DataType| matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let schema = def.schema();
    // A key is looked up, not searched.
    let fields = schema.fields().iter().enumerate().filter(|(at, _)| !def.key_columns().contains(at));
    let mut texts = fields.filter(|(_, field)| is_text(field.data_type()));
    match (texts.next(), texts.next()) {
        (Some((_, only)), None) => Ok(only.name().clone()),
        (None, _) => Err(not_found(format!(
            "table {} has no text column to search; name a path in a document, like column=\"doc.title\"",
            def.name
        ))),
        _ => Err(invalid(format!("table {} has several text columns; name the one to search", def.name))),
    }
}

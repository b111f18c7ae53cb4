//! `sparse_search('table', 'column', query, k)`: a table function with all columns of the `k` rows whose inner product with a
//! sparse vector is greatest, and that product as `_score`, best first.
//!
//! Rows that share no index with the query are never found, nor are rows without a vector.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::TableProvider;
use datafusion::error::Result;
use trilith_udfs::kernels::SparseQuery;
use trilith_udfs::sparse::SparseRows;

use super::ranking::SparseRanking;
use crate::query::search::call::{Call, Default, K_DEFAULT, Signature, optional, required};
use crate::query::search::columns::SPARSE;
use crate::query::search::ranked::{Ask, RankedTable, Ranking, SCORE};
use crate::query::search::tables::Tables;

/// The function.
pub(crate) static SPARSE_SEARCH: Signature = Signature {
    name: "sparse_search",
    arguments: &[
        required("table"),
        optional("column", Default::OnlyColumn),
        required("query"),
        optional("k", Default::Whole(K_DEFAULT)),
    ],
    example: "sparse_search('pages', 'terms', '{1:0.5, 7:1.2}', 10)",
};

/// The rows that a call finds.
///
/// # Errors
/// When the table has no such column, or an argument is of the wrong kind.
pub(crate) fn found(tables: &Tables, call: &Call) -> Result<Arc<dyn TableProvider>> {
    let name = call.text("table")?;
    let table = tables.own_table(SPARSE_SEARCH.name, &name)?;
    let column = SPARSE.named_or_only(call, "column", (&name, &*table))?;
    SPARSE.check(call, (&name, &*table), &column)?;
    let query = call.query("query", "a sparse vector such as '{1:0.5, 7:1.2}'")?;
    let query = SparseRows::new(SPARSE_SEARCH.name, &query.to_array()?)?;
    let (indices, weights) = query.get(0).unwrap_or_default();
    let ask = Asked { column, query: SparseQuery::new(indices, weights) };
    Ok(Arc::new(RankedTable::new(SPARSE_SEARCH.name, (&name, table), Box::new(ask), call.count("k")?)?))
}

/// What a call asks for.
#[derive(Debug)]
struct Asked {
    column: String,
    query: SparseQuery,
}

impl Ask for Asked {
    fn searched(&self) -> Vec<&str> {
        vec![&self.column]
    }

    fn added(&self) -> Vec<Field> {
        vec![Field::new(SCORE, DataType::Float64, false)]
    }

    fn within(&self, scan: &Schema, _: usize) -> Result<Arc<dyn Ranking>> {
        Ok(Arc::new(SparseRanking { column: scan.index_of(&self.column)?, query: self.query.clone() }))
    }
}

//! `sparse_search('table', 'column', query, k)`: a table function with all columns of the `k` rows whose inner product with a
//! sparse vector is greatest, and that product as `_score`, best first.
//!
//! Rows that share no index with the query are never found, nor are rows without a vector.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::plan_err;
use datafusion::error::Result;
use trilith_engine::Error as EngineError;
use trilith_udfs::kernels::SparseQuery;
use trilith_udfs::sparse::{SparseRows, is_sparse};

use super::ranking::SparseRanking;
use crate::error::external;
use crate::query::search::call::{Call, Default, K_DEFAULT, Signature, optional, required};
use crate::query::search::ranked::{Ask, RankedTable, Ranking, SCORE};
use crate::query::search::tables::Tables;

/// The function.
pub(crate) static SPARSE_SEARCH: Signature = Signature {
    name: "sparse_search",
    arguments: &[
        required("table"),
        required("column"),
        required("query"),
        optional("k", Default::Whole(K_DEFAULT)),
    ],
    example: "sparse_search('pages', 'terms', '{1:0.5, 7:1.2}', 10)",
};

/// The function, over the tables of one call.
#[derive(Debug)]
pub(crate) struct SparseSearch(pub Tables);

impl TableFunctionImpl for SparseSearch {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let call = Call::read(&SPARSE_SEARCH, args.exprs(), self.0.params.as_ref())?;
        let name = call.text("table")?;
        let table = self.0.own_table(SPARSE_SEARCH.name, &name)?;
        let column = call.text("column")?;
        check_column(&name, &table.schema(), &column)?;
        let query = call.query("query", "a sparse vector such as '{1:0.5, 7:1.2}'")?;
        let query = SparseRows::new(SPARSE_SEARCH.name, &query.to_array()?)?;
        let (indices, weights) = query.get(0).unwrap_or_default();
        let ask = Asked { column, query: SparseQuery::new(indices, weights) };
        Ok(Arc::new(RankedTable::new(SPARSE_SEARCH.name, (&name, table), Box::new(ask), call.count("k")?)?))
    }
}

fn check_column(table: &str, schema: &Schema, column: &str) -> Result<()> {
    let (_, field) = schema.column_with_name(column).ok_or_else(|| {
        external(EngineError::NotFound { entity: "column", name: format!("{table}.{column}") })
    })?;
    match is_sparse(field.data_type()) {
        true => Ok(()),
        false => plan_err!(
            "sparse_search: column {column:?} holds {}, not sparse vectors; name a SPARSEVEC column",
            crate::query::types::sql_name(field)
        ),
    }
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

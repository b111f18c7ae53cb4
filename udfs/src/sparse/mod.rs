//! Sparse vectors in SQL: their type, their text, and functions over them.
//!
//! A value is a struct of two lists, `indices` (`UInt32`, ascending, each once) and `values` (`Float32`, finite), as most encoders
//! give it. Its text is pgvector's: `'{1:0.5, 7:1.2}'`; indices are taken as they are, a length after a slash is only checked.

mod inner_product;
mod literal;
mod rows;
mod sparsevec;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields};
use datafusion::logical_expr::ScalarUDF;

pub use inner_product::sparse_inner_product_udf;
pub use rows::SparseRows;
pub use sparsevec::sparsevec_udf;

/// The Arrow type of sparse vectors.
#[must_use]
pub fn sparse_data_type() -> DataType {
    let list = |name: &str, item| {
        Field::new(name, DataType::List(Arc::new(Field::new_list_field(item, false))), false)
    };
    DataType::Struct(Fields::from(vec![list("indices", DataType::UInt32), list("values", DataType::Float32)]))
}

/// Whether values of a type can be sparse vectors: two lists of numbers by these names.
#[must_use]
pub fn is_sparse(data_type: &DataType) -> bool {
    let DataType::Struct(fields) = data_type else { return false };
    let numbers = |field: &Field| match field.data_type() {
        DataType::List(item) | DataType::LargeList(item) => item.data_type().is_numeric(),
        _ => false,
    };
    fields.len() == 2
        && fields[0].name() == "indices"
        && fields[1].name() == "values"
        && fields.iter().all(|field| numbers(field))
}

/// The functions.
pub fn all() -> Vec<ScalarUDF> {
    vec![sparsevec_udf(), sparse_inner_product_udf()]
}

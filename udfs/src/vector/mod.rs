//! SQL functions over vectors: one family per file, all on [`crate::kernels`].
//!
//! A vector is a fixed-size list, a list or a large list of numbers, a text such as `'[1, 2, 3]'`,
//! or packed bits (`UInt8` lists and binary). Names follow pgvector; DuckDB's and DataFusion's are
//! aliases of the same function. Null in gives null out, and so does a vector with a null component.

mod cosine_distance;
mod cosine_similarity;
mod distance;
mod hamming_distance;
mod inner_product;
mod jaccard_distance;
mod l1_distance;
mod l2_distance;
mod l2_normalize;
mod literal;
mod rows;
mod shape;
mod vector_dims;
mod vector_norm;

#[cfg(test)]
mod tests;

pub use cosine_distance::cosine_distance;
pub use cosine_similarity::cosine_similarity;
pub use distance::{DistanceFunction, Reading};
pub use hamming_distance::hamming_distance;
pub use inner_product::{inner_product, negative_inner_product};
pub use jaccard_distance::jaccard_distance;
pub use l1_distance::l1_distance;
pub use l2_distance::l2_distance;
pub use l2_normalize::l2_normalize;
pub use shape::is_vector;
pub use vector_dims::vector_dims;
pub use vector_norm::vector_norm;

use datafusion::logical_expr::ScalarUDF;

/// Every vector function.
pub fn all() -> Vec<ScalarUDF> {
    vec![
        l2_distance(),
        cosine_distance(),
        cosine_similarity(),
        inner_product(),
        negative_inner_product(),
        l1_distance(),
        hamming_distance(),
        jaccard_distance(),
        l2_normalize(),
        vector_norm(),
        vector_dims(),
    ]
}

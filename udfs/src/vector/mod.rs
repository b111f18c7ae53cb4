//! SQL functions over vectors: one family per file, all on [`crate::kernels`].
//!
//! A vector is a fixed-size list, a list or a large list of numbers, a text such as `'[1, 2, 3]'`,
//! or packed bits (`UInt8` lists and binary). Names follow pgvector; DuckDB's and DataFusion's are
//! aliases of the same function. Null in gives null out, and so does a vector with a null component. `max_sim` alone is over
//! lists of vectors.

mod cosine_distance;
mod cosine_similarity;
mod distance;
mod effort;
mod hamming_distance;
mod inner_product;
mod jaccard_distance;
mod l1_distance;
mod l2_distance;
mod l2_normalize;
mod literal;
mod matrices;
mod max_sim;
mod max_sim_query;
mod query;
mod rows;
mod shape;
mod vector_dims;
mod vector_norm;

#[cfg(test)]
mod tests;

pub use cosine_distance::cosine_distance_udf;
pub use cosine_similarity::cosine_similarity_udf;
pub use distance::{DistanceFunction, Reading};
pub use effort::Effort;
pub use hamming_distance::hamming_distance_udf;
pub use inner_product::{inner_product_udf, negative_inner_product_udf};
pub use jaccard_distance::jaccard_distance_udf;
pub use l1_distance::l1_distance_udf;
pub use l2_distance::l2_distance_udf;
pub use l2_normalize::l2_normalize_udf;
pub use matrices::Matrices;
pub use max_sim::max_sim_udf;
pub use max_sim_query::MaxSimQuery;
pub use query::VectorQuery;
pub use shape::{is_multivector, is_vector};
pub use vector_dims::vector_dims_udf;
pub use vector_norm::vector_norm_udf;

use datafusion::logical_expr::ScalarUDF;

/// Every vector function.
pub fn all() -> Vec<ScalarUDF> {
    vec![
        l2_distance_udf(),
        cosine_distance_udf(),
        cosine_similarity_udf(),
        inner_product_udf(),
        negative_inner_product_udf(),
        l1_distance_udf(),
        hamming_distance_udf(),
        jaccard_distance_udf(),
        max_sim_udf(),
        l2_normalize_udf(),
        vector_norm_udf(),
        vector_dims_udf(),
    ]
}

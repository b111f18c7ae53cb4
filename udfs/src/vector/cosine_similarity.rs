//! `cosine_similarity(a, b)`: the cosine of the angle; 0 if a vector is zero.

use super::distance::{DistanceFunction, Reading};
use crate::kernels::Metric;
use datafusion::logical_expr::ScalarUDF;

/// `cosine_similarity(a, b)`: the cosine of the angle; 0 if a vector is zero.
pub fn cosine_similarity_udf() -> ScalarUDF {
    DistanceFunction::udf(
        "cosine_similarity",
        &["array_cosine_similarity", "list_cosine_similarity"],
        Metric::Cosine,
        Reading::Complement,
    )
}

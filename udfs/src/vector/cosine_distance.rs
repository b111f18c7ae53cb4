//! `cosine_distance(a, b)`: 1 minus the cosine of the angle; 1 if a vector is zero.

use super::distance::{DistanceFunction, Reading};
use crate::kernels::Metric;
use datafusion::logical_expr::ScalarUDF;

/// `cosine_distance(a, b)`: 1 minus the cosine of the angle; 1 if a vector is zero.
pub fn cosine_distance_udf() -> ScalarUDF {
    DistanceFunction::udf(
        "cosine_distance",
        &["array_cosine_distance", "list_cosine_distance"],
        Metric::Cosine,
        Reading::Distance,
    )
}

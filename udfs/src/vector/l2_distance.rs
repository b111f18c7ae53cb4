//! `l2_distance(a, b)`: the Euclidean distance.

use super::distance::{DistanceFunction, Reading};
use crate::kernels::Metric;
use datafusion::logical_expr::ScalarUDF;

/// `l2_distance(a, b)`: the Euclidean distance.
pub fn l2_distance_udf() -> ScalarUDF {
    DistanceFunction::udf("l2_distance", &["array_distance", "list_distance"], Metric::L2, Reading::Distance)
}

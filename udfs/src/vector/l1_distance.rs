//! `l1_distance(a, b)`: the sum of absolute differences.

use super::distance::{DistanceFunction, Reading};
use crate::kernels::Metric;
use datafusion::logical_expr::ScalarUDF;

/// `l1_distance(a, b)`: the sum of absolute differences.
pub fn l1_distance_udf() -> ScalarUDF {
    DistanceFunction::udf("l1_distance", &[], Metric::L1, Reading::Distance)
}

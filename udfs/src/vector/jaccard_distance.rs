//! `jaccard_distance(a, b)`: 1 minus common over all set bits (`UInt8`, binary) or non-zero components.

use super::distance::{DistanceFunction, Reading};
use crate::kernels::Metric;
use datafusion::logical_expr::ScalarUDF;

/// `jaccard_distance(a, b)`: 1 minus common over all set bits (`UInt8`, binary) or non-zero components.
pub fn jaccard_distance_udf() -> ScalarUDF {
    DistanceFunction::udf("jaccard_distance", &[], Metric::Jaccard, Reading::Distance)
}

//! `hamming_distance(a, b)`: how many bits (`UInt8`, binary) or components differ.

use super::distance::{DistanceFunction, Reading};
use crate::kernels::Metric;
use datafusion::logical_expr::ScalarUDF;

/// `hamming_distance(a, b)`: how many bits (`UInt8`, binary) or components differ.
pub fn hamming_distance_udf() -> ScalarUDF {
    DistanceFunction::udf("hamming_distance", &[], Metric::Hamming, Reading::Distance)
}

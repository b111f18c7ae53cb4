//! `inner_product(a, b)` and `negative_inner_product(a, b)`, the form that sorts nearest first.

use super::distance::{DistanceFunction, Reading};
use crate::kernels::Metric;
use datafusion::logical_expr::ScalarUDF;

/// `inner_product(a, b)`: the sum of products; higher is closer.
pub fn inner_product_udf() -> ScalarUDF {
    let aliases =
        ["array_inner_product", "list_inner_product", "dot_product", "array_dot_product", "list_dot_product"];
    DistanceFunction::udf("inner_product", &aliases, Metric::InnerProduct, Reading::Negated)
}

/// `negative_inner_product(a, b)`: the negated sum of products; lower is closer.
pub fn negative_inner_product_udf() -> ScalarUDF {
    let aliases = [
        "array_negative_inner_product",
        "list_negative_inner_product",
        "array_negative_dot_product",
        "list_negative_dot_product",
    ];
    DistanceFunction::udf("negative_inner_product", &aliases, Metric::InnerProduct, Reading::Distance)
}

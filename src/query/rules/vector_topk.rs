//! `ORDER BY distance(column, constant) LIMIT k` over a table becomes a `KnnExec`, and what is left of `WHERE distance(column,
//! constant) < r` a `RangeExec`; which sorts and filters those are stands in `search::recognise`. `row_number() OVER (PARTITION BY column ORDER BY
//! distance) <= k` becomes a `PerGroupExec`, by `search::per`.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::sorts::sort::SortExec;

use crate::query::search::{recognise, recognise_per_group, recognise_range};

/// The rule.
#[derive(Debug)]
pub(super) struct VectorTopK;

impl PhysicalOptimizerRule for VectorTopK {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let rewrite = |node: Arc<dyn ExecutionPlan>| {
            let search = match node.downcast_ref::<SortExec>() {
                Some(sort) => recognise(sort)?,
                None if node.is::<FilterExec>() => match recognise_per_group(&node)? {
                    Some(search) => Some(search),
                    None => recognise_range(&node)?,
                },
                None => None,
            };
            Ok(search.map_or_else(|| Transformed::no(node), Transformed::yes))
        };
        plan.transform_down(rewrite).data()
    }

    fn name(&self) -> &'static str {
        "vector_topk"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

//! Puts a nearest join in the place of each join whose condition is its marker.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::plan_err;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::error::Result;
use datafusion::logical_expr::{Extension, Join, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use super::marker::Asked;
use super::node::NearestNode;

/// The rule.
#[derive(Debug)]
pub(crate) struct NearestJoins;

impl AnalyzerRule for NearestJoins {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| match plan {
            LogicalPlan::Join(join) => replaced(join),
            other => Ok(Transformed::no(other)),
        })
        .data()
    }

    fn name(&self) -> &str {
        "nearest_joins"
    }
}

fn replaced(join: Join) -> Result<Transformed<LogicalPlan>> {
    let Some(asked) = join.filter.as_ref().map(Asked::read).transpose()?.flatten() else {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    };
    if !join.on.is_empty() {
        return plan_err!(
            "a nearest join has no other condition; put it into a subquery in the place of a side"
        );
    }
    let node = NearestNode::new((*join.left).clone(), (*join.right).clone(), asked, join.join_type)?;
    Ok(Transformed::yes(LogicalPlan::Extension(Extension { node: Arc::new(node) })))
}

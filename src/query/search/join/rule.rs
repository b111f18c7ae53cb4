//! Puts a nearest join in the place of each join whose condition is its marker, and lets conditions on its left side through:
//! they hold before the nearest are looked for as well as after. Those on the right side must not be moved.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::plan_err;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::error::Result;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Extension, Join, LogicalPlan, LogicalPlanBuilder};
use datafusion::optimizer::{AnalyzerRule, ApplyOrder, OptimizerConfig, OptimizerRule};

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

/// The rule for conditions; the optimizer hands those over a node that it does not know to all of its inputs or to none.
#[derive(Debug)]
pub(crate) struct LeftConditions;

impl OptimizerRule for LeftConditions {
    fn name(&self) -> &str {
        "nearest_join_left_conditions"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Filter(filter) = &plan else { return Ok(Transformed::no(plan)) };
        let LogicalPlan::Extension(Extension { node }) = filter.input.as_ref() else {
            return Ok(Transformed::no(plan));
        };
        let Some(join) = node.as_any().downcast_ref::<NearestNode>() else {
            return Ok(Transformed::no(plan));
        };
        let is_of_left = |part: &Expr| {
            let columns = part.column_refs();
            let all_left = columns.iter().all(|column| join.left.schema().has_column(column));
            all_left && !columns.is_empty() && !part.is_volatile()
        };
        let parts = split_conjunction_owned(filter.predicate.clone());
        let (left, others): (Vec<_>, Vec<_>) = parts.into_iter().partition(is_of_left);
        let Some(left) = conjunction(left) else { return Ok(Transformed::no(plan)) };
        let input = LogicalPlanBuilder::from(join.left.clone()).filter(left)?.build()?;
        let join = join.with_left(input);
        let moved = LogicalPlanBuilder::from(LogicalPlan::Extension(Extension { node: Arc::new(join) }));
        let moved = match conjunction(others) {
            Some(others) => moved.filter(others)?,
            None => moved,
        };
        Ok(Transformed::yes(moved.build()?))
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

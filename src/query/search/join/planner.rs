//! From the logical node of a nearest join to its plan node.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};

use trilith_udfs::vector::Effort;

use super::exec::{NearestJoinExec, Wanted};
use super::marker::distance_function;
use super::node::NearestNode;
use super::side::Side;

/// Plans nearest joins.
pub(crate) struct NearestPlanner;

#[async_trait]
impl ExtensionPlanner for NearestPlanner {
    async fn plan_extension(
        &self,
        _: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _: &[&LogicalPlan],
        inputs: &[Arc<dyn ExecutionPlan>],
        session: &dyn Session,
        _: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let (Some(join), [left, right]) = (node.as_any().downcast_ref::<NearestNode>(), inputs) else {
            return Ok(None);
        };
        let (mine, column) = sides(&join.asked.distance, join)?;
        let wanted = Wanted {
            vector: session.create_physical_expr(mine, join.left.schema())?,
            function: distance_function(&join.asked.distance)?
                .with_effort(Effort::of_recall(join.asked.recall)),
            k: join.asked.k,
            outer: join.outer,
        };
        let side = Side::new(Arc::clone(right), column)?;
        let schema = Arc::clone(node.schema().inner());
        Ok(Some(Arc::new(NearestJoinExec::new(Arc::clone(left), side, wanted, schema))))
    }
}

/// The two vectors of a distance: an expression of the left side, and a column of the right.
fn sides(distance: &Expr, join: &NearestNode) -> Result<(Expr, usize)> {
    let Expr::ScalarFunction(call) = distance else { return plan_err!("{distance} is no distance") };
    if let [first, second] = call.args.as_slice() {
        for (mine, theirs) in [(first, second), (second, first)] {
            if let Expr::Column(column) = theirs
                && let Some(at) = join.right.schema().maybe_index_of_column(column)
                && is_of(mine, join.left.schema())
            {
                return Ok((mine.clone(), at));
            }
        }
    }
    plan_err!(
        "a nearest join compares a vector of the left side with a column of the right: l2_distance(a.v, b.v), not {distance}"
    )
}

fn is_of(expr: &Expr, schema: &DFSchema) -> bool {
    expr.column_refs().iter().all(|column| schema.has_column(column))
}

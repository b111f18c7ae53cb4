//! Planning of our own logical nodes; everything else is DataFusion's planner.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::datasource::sink::DataSinkExec;
use datafusion::error::Result;
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};

use super::{TableSink, WriteNode};
use crate::query::search::NearestPlanner;

/// The query planner of every session.
#[derive(Debug, Default)]
pub(crate) struct TrilithPlanner;

#[async_trait]
impl QueryPlanner for TrilithPlanner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![
            Arc::new(WritePlanner),
            Arc::new(NearestPlanner),
        ]);
        planner.create_physical_plan(plan, session).await
    }
}

/// Turns a [`WriteNode`] into a sink over its planned input.
struct WritePlanner;

#[async_trait]
impl ExtensionPlanner for WritePlanner {
    async fn plan_extension(
        &self,
        _: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _: &[&LogicalPlan],
        inputs: &[Arc<dyn ExecutionPlan>],
        _: &dyn Session,
        _: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let (Some(write), [input]) = (node.as_any().downcast_ref::<WriteNode>(), inputs) else {
            return Ok(None);
        };
        let sink =
            TableSink::new(write.pinned.clone(), Arc::clone(&write.table), write.change, input.schema());
        Ok(Some(Arc::new(DataSinkExec::new(Arc::clone(input), Arc::new(sink), None))))
    }
}

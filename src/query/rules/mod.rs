//! Rules that rewrite plans, and where in DataFusion's sequence they run.

mod vector_topk;

use std::sync::Arc;

use datafusion::optimizer::{Optimizer, OptimizerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;

use self::vector_topk::VectorTopK;
use super::search::LeftConditions;

/// DataFusion's rules for logical plans with ours in front: conditions still stand on the join that they were written for.
#[must_use]
pub(crate) fn logical() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let mut rules = Optimizer::new().rules;
    rules.insert(0, Arc::new(LeftConditions));
    rules
}

/// DataFusion's rules for physical plans with ours among them.
///
/// Ours come right after the first, which records the order that the whole result must have, and
/// before anything is split into partitions: a sort still stands alone over what it sorts.
#[must_use]
pub(crate) fn physical() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    let first = usize::from(!rules.is_empty());
    rules.insert(first, Arc::new(VectorTopK));
    rules
}

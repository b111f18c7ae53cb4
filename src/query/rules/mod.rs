//! Rules that rewrite physical plans; one file each, and where in DataFusion's sequence they run.

mod vector_topk;

use std::sync::Arc;

use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;

use self::vector_topk::VectorTopK;

/// DataFusion's rules with ours among them.
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

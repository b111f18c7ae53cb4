//! All functions of the crate, and how a session gets them.
//!
//! Registering replaces DataFusion's built-in functions of the same names.

use crate::planner::TrilithPlanner;
use crate::{document, sparse, vector};
use datafusion::common::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::ScalarUDF;
use std::sync::Arc;

/// Every SQL function of this crate.
pub fn all() -> Vec<ScalarUDF> {
    [vector::all(), document::all(), sparse::all()].concat()
}

/// Registers every function and the operators.
///
/// The operators come after those of planners registered before; field access on documents needs
/// [`install`].
///
/// # Errors
/// If the registry is read-only.
pub fn register_all(registry: &mut dyn FunctionRegistry) -> Result<()> {
    for function in all() {
        registry.register_udf(Arc::new(function))?;
    }
    registry.register_expr_planner(Arc::new(TrilithPlanner))
}

/// Adds every function, and the operators and field access ahead of DataFusion's own planners.
///
/// Call it after `with_default_features`, whose functions would win otherwise.
pub fn install(mut builder: SessionStateBuilder) -> SessionStateBuilder {
    builder.expr_planners().get_or_insert_default().insert(0, Arc::new(TrilithPlanner));
    let functions = all().into_iter().map(Arc::new);
    builder.scalar_functions().get_or_insert_default().extend(functions);
    builder
}

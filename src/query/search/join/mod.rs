//! `JOIN t {APPROX | EXACT} NEAREST k BY {DISTANCE | SIMILARITY} expr`: with each row of the left side, the `k` nearest of the
//! right. The form is Spark SQL's (its "nearest by" join, 2026).
//!
//! `syntax` turns the words into the condition of an ordinary join, a call of `marker`; `rule` finds that call in a plan and puts
//! a `node` in the join's place; `planner` makes an `exec` of it, over a table of this database (`side`) or any other rows.

mod exec;
mod marker;
mod node;
mod planner;
mod rule;
mod side;
mod syntax;

#[cfg(test)]
mod tests;

pub(crate) use marker::nearest_marker_udf;
pub(crate) use planner::NearestPlanner;
pub(crate) use rule::{LeftConditions, NearestJoins};
pub(crate) use syntax::with_conditions;

//! The logical node of a nearest join: its columns are those of both sides.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::common::{DFSchemaRef, JoinType, internal_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::builder::build_join_schema;
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};

use super::marker::Asked;

/// A nearest join.
#[derive(Clone)]
pub(super) struct NearestNode {
    pub left: LogicalPlan,
    pub right: LogicalPlan,
    pub asked: Asked,
    /// Whether a row of the left side without a vector is kept.
    pub outer: bool,
    schema: DFSchemaRef,
}

impl NearestNode {
    /// Joins two plans.
    ///
    /// # Errors
    /// For a join that is neither inner nor left.
    pub(super) fn new(left: LogicalPlan, right: LogicalPlan, asked: Asked, kind: JoinType) -> Result<Self> {
        if !matches!(kind, JoinType::Inner | JoinType::Left) {
            return plan_err!("a nearest join is an inner or a LEFT join, not {kind}");
        }
        let schema = Arc::new(build_join_schema(left.schema(), right.schema(), &kind)?);
        Ok(Self { left, right, asked, outer: kind == JoinType::Left, schema })
    }

    /// The same join of other rows of the left side.
    pub(super) fn with_left(&self, left: LogicalPlan) -> Self {
        Self { left, ..self.clone() }
    }

    fn kind(&self) -> JoinType {
        if self.outer { JoinType::Left } else { JoinType::Inner }
    }

    fn identity(&self) -> (&LogicalPlan, &LogicalPlan, &Expr, usize, bool, u64) {
        let Asked { distance, k, recall } = &self.asked;
        (&self.left, &self.right, distance, *k, self.outer, recall.to_bits())
    }
}

impl fmt::Debug for NearestNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        UserDefinedLogicalNodeCore::fmt_for_explain(self, f)
    }
}

impl PartialEq for NearestNode {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for NearestNode {}

impl Hash for NearestNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl PartialOrd for NearestNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.identity().partial_cmp(&other.identity())
    }
}

impl UserDefinedLogicalNodeCore for NearestNode {
    fn name(&self) -> &str {
        "NearestJoin"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.left, &self.right]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![self.asked.distance.clone()]
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Asked { distance, k, recall } = &self.asked;
        write!(f, "NearestJoin: {}, k={k}, by={distance}", self.kind())?;
        if *recall < 1.0 { write!(f, ", recall={recall}") } else { Ok(()) }
    }

    fn with_exprs_and_inputs(&self, mut exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        match (exprs.pop(), inputs.pop(), inputs.pop()) {
            (Some(distance), Some(right), Some(left)) => {
                Self::new(left, right, Asked { distance, ..self.asked.clone() }, self.kind())
            }
            _ => internal_err!("a nearest join has a distance and two inputs"),
        }
    }

    /// Of each side, the columns that are asked for and those of the distance.
    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let sides = [self.left.schema(), self.right.schema()];
        let width = sides[0].fields().len();
        let mut needed = [vec![], vec![]];
        for at in output_columns {
            let side = usize::from(*at >= width);
            needed[side].push(at - side * width);
        }
        for column in self.asked.distance.column_refs() {
            let side = usize::from(!sides[0].has_column(column));
            needed[side].push(sides[side].maybe_index_of_column(column)?);
        }
        for places in &mut needed {
            places.sort_unstable();
            places.dedup();
        }
        Some(needed.into())
    }
}

//! The logical node of a statement that writes: its input is an ordinary query.
//!
//! Being a node of the plan, it is optimized, explained and measured like any query.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::{DFSchema, DFSchemaRef, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};
use trilith_engine::TableDef;

use super::Change;
use crate::query::connection::Pinned;

/// Writes the rows of its input to a table and returns their number.
#[derive(Clone)]
pub(crate) struct WriteNode {
    pub pinned: Pinned,
    pub table: Arc<TableDef>,
    pub change: Change,
    input: LogicalPlan,
    schema: DFSchemaRef,
}

impl WriteNode {
    /// A plan that writes `input` to `table`.
    ///
    /// # Errors
    /// Never in practice: the schema of the count is fixed.
    pub(crate) fn plan(
        pinned: Pinned,
        table: Arc<TableDef>,
        change: Change,
        input: LogicalPlan,
    ) -> Result<LogicalPlan> {
        let count = Schema::new(vec![Field::new("count", DataType::UInt64, false)]);
        let schema = Arc::new(DFSchema::try_from(count)?);
        let node = Self { pinned, table, change, input, schema };
        Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
    }

    fn identity(&self) -> (u64, Change, &LogicalPlan) {
        (self.table.id.0, self.change, &self.input)
    }
}

impl fmt::Debug for WriteNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        UserDefinedLogicalNodeCore::fmt_for_explain(self, f)
    }
}

impl PartialEq for WriteNode {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for WriteNode {}

impl Hash for WriteNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl PartialOrd for WriteNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.identity().partial_cmp(&other.identity())
    }
}

impl UserDefinedLogicalNodeCore for WriteNode {
    fn name(&self) -> &str {
        self.change.verb()
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![]
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: table={}", self.change.verb(), self.table.name)
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        match (inputs.pop(), inputs.is_empty()) {
            (Some(input), true) => Ok(Self { input, ..self.clone() }),
            _ => plan_err!("{} takes one input", self.change.verb()),
        }
    }
}

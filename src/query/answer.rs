//! What a call answers with: a plan over one snapshot, whose rows are computed each time they are asked for.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::dataframe::DataFrame;
use datafusion::datasource::provider_as_source;
use datafusion::execution::session_state::SessionState;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::physical_plan::execute_stream;
use futures::TryStreamExt;

use crate::error::Result;

/// A query that has been planned and not yet run.
#[derive(Clone)]
pub struct Answer {
    session: Arc<SessionState>,
    plan: Plan,
}

#[derive(Clone)]
enum Plan {
    /// What the planner is still to look at.
    Logical(Arc<LogicalPlan>),
    /// The rows of one table under conditions that it applies itself, as it gives them.
    Table(Arc<dyn TableProvider>, Vec<Expr>, Arc<TaskContext>),
}

impl Answer {
    /// The rows of a table under conditions that it applies itself, in the order in which it gives them.
    pub(crate) fn of_table(
        session: Arc<SessionState>,
        task: Arc<TaskContext>,
        (table, filters): (Arc<dyn TableProvider>, Vec<Expr>),
    ) -> Self {
        Self { session, plan: Plan::Table(table, filters, task) }
    }

    /// Names and types of the columns.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        match &self.plan {
            Plan::Logical(plan) => Arc::new(Schema::clone(plan.schema().as_arrow())),
            Plan::Table(table, ..) => table.schema(),
        }
    }

    /// Starts to compute the rows. Belongs on the runtime of the database ([`crate::Database::runtime`]).
    ///
    /// # Errors
    /// When no physical plan can be made.
    pub async fn stream(&self) -> Result<SendableRecordBatchStream> {
        let (plan, task) = match &self.plan {
            Plan::Logical(plan) => {
                let task = Arc::new(TaskContext::from(&*self.session));
                (self.session.create_physical_plan(plan).await?, task)
            }
            Plan::Table(table, filters, task) => {
                (table.scan(&*self.session, None, filters, None).await?, Arc::clone(task))
            }
        };
        Ok(execute_stream(plan, task)?)
    }

    /// Computes all rows. Belongs on the runtime of the database.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn collect(&self) -> Result<Vec<RecordBatch>> {
        Ok(self.stream().await?.try_collect().await?)
    }

    /// The query as a DataFrame, to go on from.
    ///
    /// # Errors
    /// Never in practice: a table makes a plan.
    pub fn frame(&self) -> Result<DataFrame> {
        let plan = match &self.plan {
            Plan::Logical(plan) => LogicalPlan::clone(plan),
            Plan::Table(table, filters, _) => {
                let source = provider_as_source(Arc::clone(table));
                LogicalPlanBuilder::scan(TableReference::bare("found"), source, None)?
                    .filter(conjunction(filters.iter().cloned()).unwrap_or_else(|| lit(true)))?
                    .build()?
            }
        };
        Ok(DataFrame::new(SessionState::clone(&self.session), plan))
    }

    /// The query as a table of another.
    ///
    /// # Errors
    /// As [`Answer::frame`].
    pub fn view(&self) -> Result<Arc<dyn TableProvider>> {
        match &self.plan {
            Plan::Table(table, filters, _) if filters.is_empty() => Ok(Arc::clone(table)),
            _ => Ok(self.frame()?.into_view()),
        }
    }
}

impl From<DataFrame> for Answer {
    fn from(frame: DataFrame) -> Self {
        let (session, plan) = frame.into_parts();
        Self { session: Arc::new(session), plan: Plan::Logical(Arc::new(plan)) }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.plan {
            Plan::Logical(plan) => write!(f, "Answer({})", plan.display()),
            Plan::Table(table, ..) => write!(f, "Answer({table:?})"),
        }
    }
}

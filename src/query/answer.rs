//! What a call answers with: a plan over one snapshot, whose rows are computed each time they are asked for.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::{TableReference, project_schema};
use datafusion::dataframe::DataFrame;
use datafusion::datasource::provider_as_source;
use datafusion::execution::session_state::SessionState;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::execute_stream;
use futures::TryStreamExt;

use crate::error::Result;

/// A query that has been planned and not yet run.
#[derive(Clone)]
pub struct Answer {
    session: Arc<SessionState>,
    schema: SchemaRef,
    plan: Plan,
}

#[derive(Clone)]
enum Plan {
    /// What the planner is still to look at.
    Logical(Arc<LogicalPlan>),
    /// What one table gives, as it gives it.
    Table(Arc<TableRows>, Arc<TaskContext>),
}

/// Rows of a table.
pub(crate) struct TableRows {
    pub table: Arc<dyn TableProvider>,
    /// Places of the columns; all when `None`.
    pub projection: Option<Vec<usize>>,
    /// Conditions that the table applies itself.
    pub filters: Vec<Expr>,
}

impl TableRows {
    fn schema(&self) -> Result<SchemaRef> {
        Ok(project_schema(&self.table.schema(), self.projection.as_ref())?)
    }

    fn logical(&self) -> Result<LogicalPlan> {
        let source = provider_as_source(Arc::clone(&self.table));
        let mut plan = LogicalPlanBuilder::scan(TableReference::bare("found"), source, None)?;
        if let Some(condition) = conjunction(self.filters.iter().cloned()) {
            plan = plan.filter(condition)?;
        }
        if let Some(projection) = &self.projection {
            let schema = Arc::clone(plan.schema());
            plan = plan.project(projection.iter().map(|at| Expr::Column(schema.columns()[*at].clone())))?;
        }
        Ok(plan.build()?)
    }
}

impl Answer {
    /// Rows of a table, in the order in which it gives them.
    pub(crate) fn of_table(
        session: Arc<SessionState>,
        task: Arc<TaskContext>,
        rows: TableRows,
    ) -> Result<Self> {
        let schema = rows.schema()?;
        Ok(Self { session, schema, plan: Plan::Table(Arc::new(rows), task) })
    }

    /// Names and types of the columns.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// True for rows that a table gives as they are, without conditions: such an answer takes no planner and little stack.
    #[must_use]
    pub fn is_found(&self) -> bool {
        matches!(&self.plan, Plan::Table(rows, _) if rows.filters.is_empty())
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
            Plan::Table(rows, task) => {
                let TableRows { table, projection, filters } = &**rows;
                (table.scan(&*self.session, projection.as_ref(), filters, None).await?, Arc::clone(task))
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
            Plan::Table(rows, _) => rows.logical()?,
        };
        Ok(DataFrame::new(SessionState::clone(&self.session), plan))
    }

    /// The query as a table of another.
    ///
    /// # Errors
    /// As [`Answer::frame`].
    pub fn view(&self) -> Result<Arc<dyn TableProvider>> {
        match &self.plan {
            Plan::Table(rows, _) if rows.filters.is_empty() && rows.projection.is_none() => {
                Ok(Arc::clone(&rows.table))
            }
            _ => Ok(self.frame()?.into_view()),
        }
    }
}

impl From<DataFrame> for Answer {
    fn from(frame: DataFrame) -> Self {
        let (session, plan) = frame.into_parts();
        let schema = Arc::new(Schema::clone(plan.schema().as_arrow()));
        Self { session: Arc::new(session), schema, plan: Plan::Logical(Arc::new(plan)) }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.plan {
            Plan::Logical(plan) => write!(f, "Answer({})", plan.display()),
            Plan::Table(rows, _) => write!(f, "Answer({:?})", rows.table),
        }
    }
}

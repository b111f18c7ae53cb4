//! What one attempt at one statement works with: a session over one snapshot, and the call's parameters.

use std::sync::Arc;

use datafusion::catalog::MemTable;
use datafusion::common::DFSchema;
use datafusion::dataframe::DataFrame;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement as SqlStatement;
use trilith_engine::Engine;

use super::Call;
use crate::error::Result;
use crate::query::connection::Pinned;
use crate::query::parse;
use crate::query::session::Sessions;

/// One attempt at one statement.
pub(super) struct Context<'a> {
    pub sessions: &'a Sessions,
    pub pinned: Pinned,
    pub state: SessionState,
    pub call: &'a Call,
}

impl<'a> Context<'a> {
    pub(super) fn new(sessions: &'a Sessions, call: &'a Call) -> Result<Self> {
        let pinned = call.connection.pin()?;
        let state = sessions.state(&pinned, Arc::clone(&call.locals), call.params.as_ref());
        Ok(Self { sessions, pinned, state, call })
    }

    pub(super) fn engine(&self) -> &Arc<Engine> {
        &self.pinned.engine
    }

    /// A context of DataFusion's over this snapshot.
    pub(super) fn session(&self) -> SessionContext {
        SessionContext::new_with_state(self.state.clone())
    }

    /// DataFusion's plan of the statement, with the parameters in it.
    pub(super) async fn plan(&self, statement: SqlStatement) -> Result<LogicalPlan> {
        let plan = self.state.statement_to_plan(statement).await?;
        self.bind(plan)
    }

    /// The plan with the call's parameters in it.
    pub(super) fn bind(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        match &self.call.params {
            Some(params) => Ok(plan.with_param_values(params.clone())?),
            None => Ok(plan),
        }
    }

    /// An expression over the columns of `schema`.
    pub(super) fn expression(&self, sql: &str, schema: &DFSchema) -> Result<Expr> {
        Ok(self.state.create_logical_expr_from_sql_expr(parse::expression(sql)?, schema)?)
    }

    /// A result that is computed when it is asked for.
    pub(super) fn lazy(&self, plan: LogicalPlan) -> Result<DataFrame> {
        Ok(DataFrame::new(self.state.clone(), plan))
    }

    /// Runs the plan to its end; the result holds its rows.
    pub(super) async fn execute(&self, plan: LogicalPlan) -> Result<DataFrame> {
        let frame = DataFrame::new(self.state.clone(), plan);
        let schema = Arc::new(frame.schema().as_arrow().clone());
        let batches = frame.collect().await?;
        Ok(self.session().read_table(Arc::new(MemTable::try_new(schema, vec![batches])?))?)
    }

    /// The result of a statement that has none.
    pub(super) fn done(&self) -> Result<DataFrame> {
        self.lazy(LogicalPlanBuilder::empty(false).build()?)
    }
}

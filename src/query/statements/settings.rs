//! `SET` and `RESET`: settings hold for the statements that follow on the same handle.

use datafusion::dataframe::DataFrame;
use datafusion::sql::parser::Statement as SqlStatement;

use super::context::Context;
use crate::error::Result;

/// Changes a setting of the sessions to come.
pub(super) async fn run(context: &Context<'_>, statement: SqlStatement) -> Result<DataFrame> {
    let plan = context.plan(statement).await?;
    let session = context.session();
    session.execute_logical_plan(plan).await?;
    context.sessions.keep_settings(session.state());
    context.done()
}

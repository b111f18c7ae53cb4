//! `EXPLAIN` of statements that write: the plan is ours, the explaining DataFusion's.

use datafusion::dataframe::DataFrame;
use datafusion::logical_expr::{ExplainOption, LogicalPlanBuilder};
use datafusion::sql::parser::{ExplainStatement, Statement as SqlStatement};

use super::context::Context;
use super::write_plan;
use crate::error::Result;

/// Explains a statement, or runs and measures it.
pub(super) async fn run(context: &Context<'_>, explain: ExplainStatement) -> Result<DataFrame> {
    if let SqlStatement::Statement(inner) = explain.statement.as_ref()
        && let Some(plan) = write_plan(context, inner).await?
    {
        let option = ExplainOption::default()
            .with_verbose(explain.options.verbose)
            .with_analyze(explain.options.analyze);
        let plan = LogicalPlanBuilder::from(plan).explain_option_format(option)?.build()?;
        return if explain.options.analyze { context.execute(plan).await } else { context.lazy(plan) };
    }
    context.lazy(context.plan(SqlStatement::Explain(explain)).await?)
}

//! A small session for the tests: our functions, planners and dialect over DataFusion.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema};
use arrow::util::display::array_value_to_string;
use datafusion::common::Result;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::SessionContext;
use std::sync::Arc;

/// A session with everything of this crate installed.
pub(crate) fn session() -> SessionContext {
    let builder = SessionStateBuilder::new().with_default_features();
    SessionContext::new_with_state(crate::install(builder).build())
}

/// Registers a table of the given columns.
pub(crate) fn register(session: &SessionContext, name: &str, columns: Vec<(Field, ArrayRef)>) {
    let (fields, arrays): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
    session.register_batch(name, batch).unwrap();
}

/// Plans and runs one statement in our dialect.
pub(crate) fn try_rows(session: &SessionContext, sql: &str) -> Result<Vec<RecordBatch>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let statement = crate::dialect::parse(sql)?;
        let plan = session.state().statement_to_plan(statement).await?;
        session.execute_logical_plan(plan).await?.collect().await
    })
}

/// All values of the answer as text, row by row.
pub(crate) fn rows(session: &SessionContext, sql: &str) -> Vec<String> {
    let batches = try_rows(session, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let row = |batch: &RecordBatch, row: usize| {
        let values = batch.columns().iter().map(|column| match column.is_null(row) {
            true => "NULL".to_string(),
            false => array_value_to_string(column, row).unwrap(),
        });
        values.collect::<Vec<_>>().join("|")
    };
    batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |index| row(batch, index))).collect()
}

/// The one value of the answer.
pub(crate) fn value(session: &SessionContext, sql: &str) -> String {
    rows(session, sql).join("; ")
}

/// The message of a statement that must fail.
pub(crate) fn failure(session: &SessionContext, sql: &str) -> String {
    match try_rows(session, sql) {
        Ok(_) => panic!("{sql} did not fail"),
        Err(error) => error.to_string(),
    }
}

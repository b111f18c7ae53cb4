//! `VACUUM`: what `Database::vacuum` does, and its report as one row.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, UInt64Array};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::dataframe::DataFrame;

use super::context::Context;
use crate::error::Result;

pub(super) fn run(context: Context<'_>) -> Result<DataFrame> {
    let (sessions, engine) = (context.sessions, Arc::clone(context.engine()));
    context.call.connection.refuse_within("VACUUM")?;
    // Its snapshot would keep the files that are to go.
    drop(context);
    let report = engine.vacuum()?;
    let columns = [
        ("freed_bytes", report.freed()),
        ("bytes", report.bytes_after),
        ("rewritten_files", report.rewritten),
        ("orphans", report.orphans),
    ];
    let column = |(name, value)| (name, Arc::new(UInt64Array::from(vec![value])) as ArrayRef);
    sessions.given(RecordBatch::try_from_iter(columns.map(column))?)
}

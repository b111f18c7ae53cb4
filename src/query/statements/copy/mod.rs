//! `COPY`: tables and queries to and from Parquet, CSV, JSON lines and Arrow files.
//!
//! `parse` reads the statement in PostgreSQL's form, `export` and `import` carry it out. The format is
//! the one named, else the file's extension.

mod export;
mod import;
mod parse;

use datafusion::dataframe::DataFrame;

use super::context::Context;
use crate::error::Result;

use parse::Direction;
pub(crate) use parse::{CopyStatement, parse_copy};

/// Runs a `COPY`; the result counts the rows.
pub(super) async fn run(context: &Context<'_>, copy: CopyStatement) -> Result<DataFrame> {
    match copy.direction {
        Direction::To => export::run(context, copy).await,
        Direction::From => import::run(context, copy).await,
    }
}

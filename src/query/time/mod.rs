//! Time: tables as of an earlier version, and what happened to them in between.
//!
//! `at` puts a call of the table function `table_at` in the place of `t AT (VERSION => n)`; `past` is that function.
//! `changes` is `table_changes(...)`, `history` is `table_history(...)`. Which versions there are, and what they hold, the
//! engine says.

mod arguments;
mod at;
mod changes;
mod history;
mod past;

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMillisecondArray, UInt64Array};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::TableFunctionImpl;
use datafusion::common::{ParamValues, plan_err};
use datafusion::error::Result;
use trilith_engine::Change;

use super::connection::Pinned;

pub(crate) use at::Versions;

/// The table functions, over the database of one call and its parameters.
pub(crate) fn functions(
    pinned: &Pinned,
    params: Option<&ParamValues>,
) -> [(&'static str, Arc<dyn TableFunctionImpl>); 3] {
    let call = || arguments::Call { pinned: pinned.clone(), params: params.cloned() };
    [
        (past::NAME, Arc::new(past::TableAt(call()))),
        (changes::NAME, Arc::new(changes::TableChanges(call()))),
        (history::NAME, Arc::new(history::TableHistory(call()))),
    ]
}

/// Their names.
pub(crate) const NAMES: [&str; 3] = [past::NAME, changes::NAME, history::NAME];

/// Columns of changes, after those of the table: as Delta Lake's change data feed names them.
const KIND: &str = "_change_type";
const VERSION: &str = "_commit_version";
const TIME: &str = "_commit_timestamp";

/// The columns of a table's changes.
fn change_schema(table: &SchemaRef) -> Result<SchemaRef> {
    if let Some(own) =
        table.fields().iter().find(|field| [KIND, VERSION, TIME].contains(&field.name().as_str()))
    {
        return plan_err!("the table has a column {:?} of its own; rename it", own.name());
    }
    let utc = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let more = [(KIND, DataType::Utf8), (VERSION, DataType::UInt64), (TIME, utc)];
    let more = more.map(|(name, data_type)| Arc::new(Field::new(name, data_type, false)));
    Ok(Arc::new(Schema::new(table.fields().iter().cloned().chain(more).collect::<Vec<_>>())))
}

/// The rows of a change with what was done to them.
fn change_batch(schema: &SchemaRef, change: &Change) -> Result<RecordBatch> {
    let rows = change.rows.num_rows();
    let times = TimestampMillisecondArray::from(vec![change.millis; rows]);
    let mut columns: Vec<ArrayRef> = change.rows.columns().to_vec();
    columns.push(Arc::new(StringArray::from(vec![change.kind.name(); rows])));
    columns.push(Arc::new(UInt64Array::from(vec![change.version.0; rows])));
    columns.push(Arc::new(times.with_timezone("UTC")));
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

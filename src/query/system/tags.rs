//! `trilith.tags`: names of versions, oldest version first.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMillisecondArray, UInt64Array};
use datafusion::error::Result;

use crate::error::external;
use crate::query::connection::Pinned;

pub(super) fn describe(pinned: &Pinned) -> Result<RecordBatch> {
    let tags = pinned.engine.tags().map_err(external)?;
    let names = StringArray::from_iter_values(tags.iter().map(|tag| &tag.name));
    let versions = UInt64Array::from_iter_values(tags.iter().map(|tag| tag.version.0));
    let times = TimestampMillisecondArray::from_iter_values(tags.iter().map(|tag| tag.created_ms));
    Ok(RecordBatch::try_from_iter([
        ("name", Arc::new(names) as ArrayRef),
        ("version", Arc::new(versions) as ArrayRef),
        ("created_at", Arc::new(times.with_timezone("UTC")) as ArrayRef),
    ])?)
}

//! `trilith.versions`: the versions that can be read, oldest first.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, TimestampMillisecondArray, UInt64Array};
use datafusion::error::Result;

use crate::error::external;
use crate::query::connection::Pinned;

pub(super) fn describe(pinned: &Pinned) -> Result<RecordBatch> {
    let versions = pinned.engine.versions().map_err(external)?;
    let numbers = UInt64Array::from_iter_values(versions.iter().map(|version| version.seq.0));
    let times = TimestampMillisecondArray::from_iter_values(versions.iter().map(|version| version.millis));
    Ok(RecordBatch::try_from_iter([
        ("version", Arc::new(numbers) as ArrayRef),
        ("committed_at", Arc::new(times.with_timezone("UTC")) as ArrayRef),
    ])?)
}

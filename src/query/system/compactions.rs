//! `trilith.compactions`: the compactions under way, and the last ones that ended, newest first.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use datafusion::arrow::array::{
    ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt64Array,
};
use datafusion::error::Result;
use trilith_engine::CompactionInfo;

use crate::query::connection::Pinned;

pub(super) fn describe(pinned: &Pinned) -> Result<RecordBatch> {
    let jobs = pinned.engine.compactions();
    let text = |value: fn(&CompactionInfo) -> Option<&str>| {
        Arc::new(jobs.iter().map(value).collect::<StringArray>()) as ArrayRef
    };
    let number = |value: fn(&CompactionInfo) -> u64| {
        Arc::new(UInt64Array::from_iter_values(jobs.iter().map(value))) as ArrayRef
    };
    let started = jobs
        .iter()
        .map(|job| job.started.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64));
    let seconds = jobs.iter().map(|job| job.duration.as_secs_f64());
    Ok(RecordBatch::try_from_iter([
        ("id", number(|job| job.id)),
        ("schema_name", text(|job| Some(&job.table.schema))),
        ("table_name", text(|job| Some(&job.table.table))),
        ("state", text(|job| Some(job.state))),
        ("reason", text(|job| Some(job.reason))),
        ("level", number(|job| u64::from(job.level))),
        ("files_in", number(|job| job.files_in)),
        ("bytes_in", number(|job| job.bytes_in)),
        ("files_out", number(|job| job.files_out)),
        ("bytes_out", number(|job| job.bytes_out)),
        (
            "started",
            Arc::new(TimestampMicrosecondArray::from_iter_values(started).with_timezone("UTC")) as ArrayRef,
        ),
        ("seconds", Arc::new(Float64Array::from_iter_values(seconds)) as ArrayRef),
        ("error", text(|job| job.error.as_deref())),
    ])?)
}

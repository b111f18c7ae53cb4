//! `trilith.metrics`: what was counted since the database was opened.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use datafusion::error::Result;
use trilith_engine::Metric;

use crate::query::connection::Pinned;

pub(super) fn describe(pinned: &Pinned) -> Result<RecordBatch> {
    let metrics = pinned.engine.metrics();
    let text = |value: fn(&Metric) -> &str| {
        Arc::new(StringArray::from_iter_values(metrics.iter().map(value))) as ArrayRef
    };
    let values = Float64Array::from_iter_values(metrics.iter().map(|metric| metric.value));
    Ok(RecordBatch::try_from_iter([
        ("name", text(|metric| metric.name)),
        ("value", Arc::new(values) as ArrayRef),
        ("unit", text(|metric| metric.unit)),
        ("description", text(|metric| metric.description)),
    ])?)
}

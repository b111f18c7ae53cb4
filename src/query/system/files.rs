//! `trilith.files`: one row per file that tables live in.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use datafusion::error::Result;
use trilith_engine::FileInfo;

use crate::query::connection::Pinned;

pub(super) fn describe(pinned: &Pinned) -> Result<RecordBatch> {
    let files = pinned.engine.files();
    let text = |value: fn(&FileInfo) -> &str| {
        Arc::new(files.iter().map(|file| Some(value(file))).collect::<StringArray>()) as ArrayRef
    };
    let number = |value: fn(&FileInfo) -> u64| {
        Arc::new(UInt64Array::from_iter_values(files.iter().map(value))) as ArrayRef
    };
    Ok(RecordBatch::try_from_iter([
        ("schema_name", text(|file| &file.table.schema)),
        ("table_name", text(|file| &file.table.table)),
        ("path", text(|file| &file.path)),
        ("kind", text(|file| file.kind)),
        ("bytes", number(|file| file.bytes)),
        ("rows", number(|file| file.rows)),
        ("dead_rows", number(|file| file.dead_rows)),
        ("min_seq", number(|file| file.min_seq.0)),
        ("max_seq", number(|file| file.max_seq.0)),
    ])?)
}

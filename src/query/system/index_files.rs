//! `trilith.index_files`: one row per file that searches keep beside a table's.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use datafusion::error::Result;
use trilith_engine::IndexInfo;

use crate::error::external;
use crate::query::connection::Pinned;

pub(super) fn describe(pinned: &Pinned) -> Result<RecordBatch> {
    let indexes = pinned.engine.indexes().map_err(external)?;
    let text = |value: fn(&IndexInfo) -> &str| {
        Arc::new(StringArray::from_iter_values(indexes.iter().map(value))) as ArrayRef
    };
    let number = |value: fn(&IndexInfo) -> u64| {
        Arc::new(UInt64Array::from_iter_values(indexes.iter().map(value))) as ArrayRef
    };
    Ok(RecordBatch::try_from_iter([
        ("schema_name", text(|index| &index.table.schema)),
        ("table_name", text(|index| &index.table.table)),
        ("column_name", text(|index| &index.column)),
        ("kind", text(|index| &index.kind)),
        ("path", text(|index| &index.path)),
        ("bytes", number(|index| index.bytes)),
        ("rows", number(|index| index.rows)),
    ])?)
}

//! `trilith.stats`: one row per table: what it takes on disk and in memory, and what compaction has left to do.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, UInt64Array};
use datafusion::error::Result;
use trilith_engine::TableStats;

use crate::query::connection::Pinned;
use crate::query::passing;

pub(super) fn describe(pinned: &Pinned) -> Result<RecordBatch> {
    let mut tables = pinned.engine.table_stats();
    tables.retain(|stats| !passing::is_passing(&stats.table));
    let text = |value: fn(&TableStats) -> &str| {
        Arc::new(StringArray::from_iter_values(tables.iter().map(value))) as ArrayRef
    };
    let number = |value: fn(&TableStats) -> u64| {
        Arc::new(UInt64Array::from_iter_values(tables.iter().map(value))) as ArrayRef
    };
    let space = Float64Array::from_iter_values(tables.iter().map(TableStats::space_amplification));
    Ok(RecordBatch::try_from_iter([
        ("schema_name", text(|stats| &stats.table.schema)),
        ("table_name", text(|stats| &stats.table.table)),
        ("files", number(|stats| stats.files)),
        ("file_bytes", number(|stats| stats.file_bytes)),
        ("live_bytes", number(|stats| stats.live_bytes)),
        ("dead_rows", number(|stats| stats.dead_rows)),
        ("memtable_bytes", number(|stats| stats.memtable_bytes)),
        ("space_amplification", Arc::new(space) as ArrayRef),
        ("read_amplification", number(|stats| stats.read_amplification)),
        ("compaction_debt_bytes", number(|stats| stats.compaction_debt_bytes)),
    ])?)
}

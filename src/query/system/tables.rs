//! `trilith.tables`: one row per table, with its exact number of rows, what it takes on disk, and its options.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use datafusion::error::Result;
use trilith_engine::{TableDef, TableName};

use crate::error::external;
use crate::query::connection::Pinned;
use crate::query::passing;

pub(super) fn describe(pinned: &Pinned) -> Result<RecordBatch> {
    let mut tables = pinned.snapshot.tables();
    tables.retain(|def| !passing::is_passing(&def.name));
    let rows = tables
        .iter()
        .map(|def| pinned.snapshot.table(&def.name)?.row_count())
        .collect::<Result<Vec<u64>, _>>()
        .map_err(external)?;
    let files = files(pinned)?;
    let of_files = |pick: fn(&(u64, u64)) -> u64| {
        let per_table = tables.iter().map(|def| files.get(&def.name).map_or(0, pick));
        Arc::new(UInt64Array::from_iter_values(per_table)) as ArrayRef
    };
    Ok(RecordBatch::try_from_iter([
        ("schema_name", text(tables.iter().map(|def| Some(def.name.schema.clone())))),
        ("table_name", text(tables.iter().map(|def| Some(def.name.table.clone())))),
        ("rows", Arc::new(UInt64Array::from(rows)) as ArrayRef),
        ("primary_key", text(tables.iter().map(key))),
        ("files", of_files(|(count, _)| *count)),
        ("file_bytes", of_files(|(_, bytes)| *bytes)),
        ("options", text(tables.iter().map(options))),
    ])?)
}

/// Number and bytes of each table's files.
fn files(pinned: &Pinned) -> Result<HashMap<TableName, (u64, u64)>> {
    let mut totals: HashMap<TableName, (u64, u64)> = HashMap::new();
    for file in pinned.engine.files() {
        let total = totals.entry(file.table).or_default();
        total.0 += 1;
        total.1 += file.bytes;
    }
    Ok(totals)
}

fn key(def: &Arc<TableDef>) -> Option<String> {
    let names: Vec<&str> = def.key_columns().iter().map(|&i| def.columns[i].field.name().as_str()).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// As `WITH (...)` takes them; null when all are at their defaults.
fn options(def: &Arc<TableDef>) -> Option<String> {
    let texts = def.options.texts(&def.columns);
    let given: Vec<String> = texts.iter().map(|(name, value)| format!("{name} = '{value}'")).collect();
    (!given.is_empty()).then(|| given.join(", "))
}

fn text(values: impl Iterator<Item = Option<String>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

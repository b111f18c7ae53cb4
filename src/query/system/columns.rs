//! `trilith.columns`: one row per column, with its type as SQL writes it.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringArray, UInt64Array};
use datafusion::error::Result;
use trilith_engine::{ColumnDef, TableDef};

use crate::query::connection::Pinned;
use crate::query::passing;
use crate::query::types::sql_name;

pub(super) fn describe(pinned: &Pinned) -> Result<RecordBatch> {
    let mut tables = pinned.snapshot.tables();
    tables.retain(|def| !passing::is_passing(&def.name));
    let all: Vec<(&TableDef, usize, &ColumnDef)> = tables
        .iter()
        .flat_map(|def| def.columns.iter().enumerate().map(move |(at, column)| (def.as_ref(), at, column)))
        .collect();
    let text = |value: fn(&TableDef, &ColumnDef) -> Option<String>| {
        Arc::new(all.iter().map(|(def, _, column)| value(def, column)).collect::<StringArray>()) as ArrayRef
    };
    let flag = |value: fn(&TableDef, &ColumnDef) -> bool| {
        Arc::new(all.iter().map(|(def, _, column)| Some(value(def, column))).collect::<BooleanArray>())
            as ArrayRef
    };
    let positions = all.iter().map(|(_, at, _)| *at as u64 + 1);
    Ok(RecordBatch::try_from_iter([
        ("schema_name", text(|def, _| Some(def.name.schema.clone()))),
        ("table_name", text(|def, _| Some(def.name.table.clone()))),
        ("column_name", text(|_, column| Some(column.field.name().clone()))),
        ("position", Arc::new(UInt64Array::from_iter_values(positions)) as ArrayRef),
        ("data_type", text(|_, column| Some(sql_name(&column.field)))),
        ("nullable", flag(|_, column| column.field.is_nullable())),
        ("is_key", flag(|def, column| def.primary_key.contains(&column.id))),
        ("column_default", text(|_, column| column.default.clone())),
    ])?)
}

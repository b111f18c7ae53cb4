//! `trilith.indexes`: one row per index that a statement named. The files of all indexes are in `trilith.index_files`.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use datafusion::error::Result;
use trilith_engine::{IndexDef, IndexSpec, TableDef};

use crate::query::connection::Pinned;
use crate::query::parse::quoted;

pub(super) fn describe(pinned: &Pinned) -> Result<RecordBatch> {
    let tables = pinned.snapshot.tables();
    let indexes: Vec<(&TableDef, &IndexDef)> = tables.iter().flat_map(|table| named(table)).collect();
    let text = |value: &dyn Fn(&TableDef, &IndexDef) -> String| {
        let values = indexes.iter().map(|(table, index)| value(table, index));
        Arc::new(StringArray::from_iter_values(values)) as ArrayRef
    };
    let classes = indexes.iter().map(|(_, index)| index.metric.map(|metric| metric.class()));
    let recalls = indexes.iter().map(|(_, index)| index.recall);
    Ok(RecordBatch::try_from_iter_with_nullable([
        ("schema_name", text(&|table, _| table.name.schema.clone()), false),
        ("table_name", text(&|table, _| table.name.table.clone()), false),
        ("index_name", text(&|_, index| index.name.clone()), false),
        ("column_name", text(&|table, index| IndexSpec::of(table, index).column), false),
        ("method", text(&|_, index| index.kind.name().to_owned()), false),
        ("class", Arc::new(classes.collect::<StringArray>()) as ArrayRef, true),
        ("recall", Arc::new(Float64Array::from_iter_values(recalls)) as ArrayRef, false),
        ("definition", text(&definition), false),
    ])?)
}

fn named(table: &TableDef) -> impl Iterator<Item = (&TableDef, &IndexDef)> {
    table.indexes.iter().map(move |index| (table, index))
}

/// The statement that makes it.
fn definition(table: &TableDef, index: &IndexDef) -> String {
    let spec = IndexSpec::of(table, index);
    let class = spec.class.map_or_else(String::new, |class| format!(" {class}"));
    let options: Vec<String> = spec.options.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    let with = if options.is_empty() { String::new() } else { format!(" WITH ({})", options.join(", ")) };
    let name = [&table.name.schema, &table.name.table].map(|part| quoted(part)).join(".");
    let (index_name, column) = (quoted(&index.name), quoted(&spec.column));
    format!("CREATE INDEX {index_name} ON {name} USING {} ({column}{class}){with}", spec.kind)
}

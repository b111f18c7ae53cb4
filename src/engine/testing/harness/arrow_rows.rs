//! Rows of the oracle as Arrow batches, and back.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, SchemaRef, UInt64Type};
use trilith_engine::{Error, Result, ScanPart, Snapshot, TableName, TableSpec, TableView};

use crate::model::{Column, Kind, Row, State, Table, Value};

/// The Arrow type of a column.
pub fn data_type(kind: Kind) -> DataType {
    match kind {
        Kind::Int => DataType::Int64,
        Kind::Real => DataType::Float64,
        Kind::Text => DataType::Utf8,
    }
}

/// One column's cells as an array.
pub fn array<'a>(kind: Kind, cells: impl Iterator<Item = &'a Value>) -> ArrayRef {
    match kind {
        Kind::Int => Arc::new(
            cells
                .map(|cell| if let Value::Int(int) = cell { Some(*int) } else { None })
                .collect::<Int64Array>(),
        ),
        Kind::Real => {
            let bits =
                |cell: &Value| if let Value::Real(bits) = cell { Some(f64::from_bits(*bits)) } else { None };
            Arc::new(cells.map(bits).collect::<Float64Array>())
        }
        Kind::Text => {
            let text = |cell: &'a Value| if let Value::Text(text) = cell { Some(&**text) } else { None };
            Arc::new(cells.map(text).collect::<StringArray>())
        }
    }
}

/// The arrays of `columns` over `rows`.
pub fn arrays(columns: &[Column], rows: &[Row]) -> Vec<ArrayRef> {
    columns
        .iter()
        .enumerate()
        .map(|(at, column)| array(column.kind, rows.iter().map(move |row| &row[at])))
        .collect()
}

/// `rows` as a batch of `columns`.
pub fn batch(columns: &[Column], rows: &[Row]) -> RecordBatch {
    RecordBatch::try_new(schema(columns), arrays(columns, rows)).unwrap()
}

/// The Arrow schema of `columns`.
pub fn schema(columns: &[Column]) -> SchemaRef {
    Arc::new(Schema::new(
        columns
            .iter()
            .map(|column| Field::new(&column.name, data_type(column.kind), true))
            .collect::<Vec<_>>(),
    ))
}

/// What creates `table` under `name`.
pub fn spec(name: &str, table: &Table) -> TableSpec {
    let primary_key = table.columns[..table.key].iter().map(|column| column.name.clone()).collect();
    TableSpec {
        name: TableName::public(name),
        schema: schema(&table.columns),
        primary_key,
        defaults: HashMap::new(),
        options: Default::default(),
        indexes: vec![],
    }
}

fn cell(array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Int64 => Value::Int(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => Value::Real(array.as_primitive::<Float64Type>().value(row).to_bits()),
        _ => Value::Text(array.as_string::<i32>().value(row).into()),
    }
}

/// The rows of a batch.
pub fn rows(batch: &RecordBatch) -> Vec<Row> {
    (0..batch.num_rows()).map(|row| batch.columns().iter().map(|array| cell(array, row)).collect()).collect()
}

/// Reads a whole table; `Internal` when it contradicts itself.
pub fn read_table(view: &TableView) -> Result<Table> {
    let def = view.def();
    let kind = |data_type: &DataType| match data_type {
        DataType::Int64 => Kind::Int,
        DataType::Float64 => Kind::Real,
        _ => Kind::Text,
    };
    let columns: Vec<Column> = def
        .columns
        .iter()
        .map(|column| Column { name: column.field.name().clone(), kind: kind(column.field.data_type()) })
        .collect();
    let mut table = Table { key: def.primary_key.len(), columns, rows: BTreeMap::new() };
    let mut count = 0;
    for part in view.parts()? {
        let mut live = 0;
        for i in 0..part.num_batches() {
            let batch = part.read(i, &(0..def.columns.len()).collect::<Vec<_>>(), false)?;
            check_stats(&part, i, &batch)?;
            live += batch.num_rows() as u64;
            for row in rows(&batch) {
                let key = row[..table.identity()].to_vec();
                if let Some(twice) = table.rows.insert(key, Arc::new(row)) {
                    return Err(Error::Internal(format!(
                        "table {}: a key comes twice, once as {twice:?}",
                        def.name
                    )));
                }
            }
        }
        if live != part.rows() {
            return Err(Error::Internal(format!(
                "table {}: a part of {} rows gave {live}",
                def.name,
                part.rows()
            )));
        }
        count += live;
    }
    if count != view.row_count()? {
        return Err(Error::Internal(format!(
            "table {}: {count} rows, counted as {}",
            def.name,
            view.row_count()?
        )));
    }
    Ok(table)
}

/// Every live value must lie within the zone map of its batch, or a filter would lose it.
fn check_stats(part: &ScanPart, i: usize, batch: &RecordBatch) -> Result<()> {
    for (at, values) in batch.columns().iter().enumerate() {
        let Some(stats) = part.stats(at) else { continue };
        let (min, max) = (cell(&stats.min, i), cell(&stats.max, i));
        for row in 0..values.len() {
            let value = cell(values, row);
            let outside = match &value {
                Value::Null => stats.null_count.value(i) == 0,
                value => below(value, &min) || below(&max, value),
            };
            if outside {
                return Err(Error::Internal(format!(
                    "{value:?} lies outside its zone map {min:?} to {max:?}"
                )));
            }
        }
    }
    Ok(())
}

fn below(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => a < b,
        (Value::Real(a), Value::Real(b)) => f64::from_bits(*a) < f64::from_bits(*b),
        (Value::Text(a), Value::Text(b)) => a < b,
        _ => false,
    }
}

/// Reads a whole database.
pub fn read_state(snapshot: &Snapshot) -> Result<State> {
    let read = |def: Arc<trilith_engine::TableDef>| {
        Ok((def.name.table.clone(), Arc::new(read_table(&snapshot.table(&def.name)?)?)))
    };
    snapshot.tables().into_iter().map(read).collect()
}

/// Row ids of a keyless table's rows, by first cell.
pub fn row_ids(view: &TableView, wanted: &[Row]) -> Result<UInt64Array> {
    let mut found = Vec::new();
    for part in view.parts()? {
        for i in 0..part.num_batches() {
            let batch = part.read(i, &[0], true)?;
            let ids = batch.column(1).as_primitive::<UInt64Type>();
            let cells = (0..batch.num_rows()).map(|row| cell(batch.column(0), row));
            found.extend(
                cells
                    .zip(ids.values())
                    .filter(|(cell, _)| wanted.iter().any(|row| row[0] == *cell))
                    .map(|(_, id)| *id),
            );
        }
    }
    Ok(found.into())
}

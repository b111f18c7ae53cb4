//! Trilith's engine: a table of two columns, keyed by the first.

use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, FixedSizeBinaryArray, FixedSizeBinaryBuilder, RecordBatch,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use trilith_engine::{
    Durability, Engine, IfExists, KeyRange, Options, TableDef, TableName, TableSpec, TableView, Value,
    WriteBatch, WriteMode,
};

use super::{Level, Outcome, Reader, Store, Visit};
use crate::data::{KEY, Rows};

pub struct Trilith {
    pub engine: Arc<Engine>,
    pub table: Arc<TableDef>,
}

fn schema() -> SchemaRef {
    let field = |name, kind| Field::new(name, kind, false);
    let key = field("key", DataType::FixedSizeBinary(KEY as i32));
    Arc::new(Schema::new(vec![key, field("value", DataType::Binary)]))
}

/// Rows as an Arrow batch.
pub fn batch<'a>(
    schema: SchemaRef,
    rows: impl ExactSizeIterator<Item = (&'a [u8; KEY], &'a [u8])>,
) -> Outcome<RecordBatch> {
    let mut keys = FixedSizeBinaryBuilder::with_capacity(rows.len(), KEY as i32);
    let mut values = arrow::array::BinaryBuilder::with_capacity(rows.len(), rows.len() * 100);
    for (key, value) in rows {
        keys.append_value(key)?;
        values.append_value(value);
    }
    Ok(RecordBatch::try_new(schema, vec![Arc::new(keys.finish()), Arc::new(values.finish())])?)
}

impl Trilith {
    pub fn open(path: &Path, level: Level) -> Outcome<Self> {
        let durability = match level {
            Level::Buffered => Durability::Buffered,
            Level::Durable => Durability::Group,
        };
        let engine = Engine::open_path(path, Options { durability, ..Options::default() })?;
        let spec = TableSpec {
            name: TableName::public("rows"),
            schema: schema(),
            primary_key: vec!["key".into()],
            defaults: Default::default(),
            options: Default::default(),
        indexes: vec![],
        };
        let table = engine.create_table(&spec, IfExists::Keep)?;
        Ok(Self { engine, table })
    }

    pub fn batch(&self, rows: &Rows) -> Outcome<RecordBatch> {
        batch(self.table.schema(), rows.keys.iter().zip(rows.values.iter().map(Vec::as_slice)))
    }

    /// Writes a batch that is there already.
    pub fn upsert(&self, rows: &RecordBatch) -> Outcome {
        let mut write = WriteBatch::new();
        write.upsert(&self.table, rows)?;
        self.engine.commit(write)?;
        Ok(())
    }

    /// Writes batches in one commit of any size.
    pub fn append(&self, rows: &[RecordBatch]) -> Outcome {
        let mut appender = self.engine.appender(&self.table.name, WriteMode::Upsert)?;
        rows.iter().try_for_each(|rows| appender.write(rows))?;
        appender.finish()?;
        Ok(())
    }
}

impl Store for Trilith {
    fn put(&self, rows: &Rows) -> Outcome {
        self.upsert(&self.batch(rows)?)
    }

    fn put_one(&self, key: &[u8; KEY], value: &[u8]) -> Outcome {
        let mut write = WriteBatch::new();
        write.upsert_row(&self.table, &[Value::Bytes(key), Value::Bytes(value)])?;
        self.engine.commit(write)?;
        Ok(())
    }

    fn read(&self, work: &mut dyn FnMut(&dyn Reader) -> Outcome) -> Outcome {
        work(&self.engine.snapshot()?.table(&self.table.name)?)
    }

    fn settle(&self) -> Outcome {
        self.engine.flush()?;
        while self.engine.maintain()? || self.engine.compactions().iter().any(|job| job.state == "running") {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        Ok(())
    }
}

fn show(rows: &RecordBatch, visit: Visit) {
    let (keys, values) = (rows.column(0).as_fixed_size_binary(), rows.column(1).as_binary::<i32>());
    show_each(keys, values, visit);
}

fn show_each(keys: &FixedSizeBinaryArray, values: &BinaryArray, visit: Visit) {
    for row in 0..keys.len() {
        visit(keys.value(row), values.value(row));
    }
}

impl Reader for TableView {
    fn get(&self, key: &[u8; KEY], visit: Visit) -> Outcome<bool> {
        let found = self.get_row(key, Some(&[1]))?;
        if let Some(row) = &found {
            visit(key, row.columns()[0].as_binary::<i32>().value(row.index()));
        }
        Ok(found.is_some())
    }

    fn get_many(&self, keys: &[[u8; KEY]], visit: Visit) -> Outcome {
        let keys: ArrayRef = Arc::new(FixedSizeBinaryArray::try_from_iter(keys.iter())?);
        show(&TableView::get_many(self, &[keys], None)?.0, visit);
        Ok(())
    }

    fn scan(&self, from: &[u8], limit: usize, reverse: bool, visit: Visit) -> Outcome {
        let range = match reverse {
            false => KeyRange { lower: Bound::Included(from.to_vec()), upper: Bound::Unbounded },
            true => KeyRange { lower: Bound::Unbounded, upper: Bound::Included(from.to_vec()) },
        };
        for rows in self.range(&range, reverse, Some(limit), None)? {
            show(&rows?, &mut *visit);
        }
        Ok(())
    }
}

//! Rows given as plain values are the rows of an Arrow batch.

use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use proptest::prelude::*;

use super::support::{keyed, keyless, small};
use crate::testing::SimStorage;
use crate::{Engine, Error, IfExists, Options, SeqNo, TableDef, TableName, TableSpec, Value, WriteBatch};

fn every_type() -> SchemaRef {
    let field = |name: &str, kind| Field::new(name, kind, true);
    Arc::new(Schema::new(vec![
        field("text", DataType::Utf8),
        field("i8", DataType::Int8),
        field("bytes", DataType::Binary),
        field("u64", DataType::UInt64),
        field("f32", DataType::Float32),
        field("f64", DataType::Float64),
        field("flag", DataType::Boolean),
        field("day", DataType::Date32),
        field("at", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))),
        field("fixed", DataType::FixedSizeBinary(3)),
        field("pair", DataType::Struct(vec![field("a", DataType::Int64), field("b", DataType::Utf8)].into())),
        field("vector", DataType::new_fixed_size_list(DataType::Float32, 2, true)),
    ]))
}

fn table(engine: &Engine, name: &str, key: &[&str]) -> Arc<TableDef> {
    let spec = TableSpec {
        name: TableName::public(name),
        schema: every_type(),
        primary_key: key.iter().map(|name| (*name).to_owned()).collect(),
        defaults: Default::default(),
        options: Default::default(),
        indexes: vec![],
    };
    engine.create_table(&spec, IfExists::Fail).unwrap()
}

/// What a row is made of.
type Parts = (String, i8, Vec<u8>, u64, f64, bool, i32, i64, [u8; 3]);

fn values(parts: &Parts, null: usize) -> Vec<Value<'_>> {
    let (text, i8, bytes, u64, float, flag, day, at, fixed) = parts;
    let mut values = vec![
        Value::Text(text),
        Value::Int(i128::from(*i8)),
        Value::Bytes(bytes),
        Value::Int(i128::from(*u64)),
        Value::Float(*float),
        Value::Float(*float),
        Value::Bool(*flag),
        Value::Int(i128::from(*day)),
        Value::Int(i128::from(*at)),
        Value::Bytes(fixed),
        Value::Null,
        Value::Null,
    ];
    // The first three are the key.
    if null > 2 {
        values[null] = Value::Null;
    }
    values
}

fn arrays(parts: &Parts, null: usize) -> RecordBatch {
    let (text, i8, bytes, u64, float, flag, day, at, fixed) = parts.clone();
    let schema = every_type();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec![text])),
        Arc::new(Int8Array::from(vec![i8])),
        Arc::new(BinaryArray::from_iter_values([bytes])),
        Arc::new(UInt64Array::from(vec![u64])),
        Arc::new(Float32Array::from(vec![float as f32])),
        Arc::new(Float64Array::from(vec![float])),
        Arc::new(BooleanArray::from(vec![flag])),
        Arc::new(Date32Array::from(vec![day])),
        Arc::new(TimestampMillisecondArray::from(vec![at]).with_timezone("UTC")),
        Arc::new(FixedSizeBinaryArray::try_from_iter([fixed].into_iter()).unwrap()),
    ];
    let column = |i: usize| match columns.get(i) {
        Some(column) if i < 3 || i != null => Arc::clone(column),
        _ => new_null_array(schema.field(i).data_type(), 1),
    };
    RecordBatch::try_new(Arc::clone(&schema), (0..schema.fields().len()).map(column).collect()).unwrap()
}

/// All rows of a table, in key order.
fn all(engine: &Engine, name: &str) -> RecordBatch {
    let view = engine.snapshot().unwrap().table(&TableName::public(name)).unwrap();
    let range = crate::KeyRange { lower: std::ops::Bound::Unbounded, upper: std::ops::Bound::Unbounded };
    let found: Vec<RecordBatch> =
        view.range(&range, false, None, None).unwrap().map(|rows| rows.unwrap()).collect();
    arrow::compute::concat_batches(&view.def().schema(), &found).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn a_row_of_values_is_a_row_of_a_batch(rows in prop::collection::vec((any::<Parts>(), 0usize..12), 1..20), flush in any::<bool>()) {
        let disk = SimStorage::new();
        let open = || Engine::open(Arc::new(disk.clone()), small()).unwrap();
        let engine = open();
        let key = ["bytes", "i8", "text"];
        let (plain, arrow) = (table(&engine, "plain", &key), table(&engine, "arrow", &key));
        for (parts, null) in &rows {
            let mut write = WriteBatch::new();
            write.upsert_row(&plain, &values(parts, *null)).unwrap();
            write.upsert(&arrow, &arrays(parts, *null)).unwrap();
            engine.commit(write).unwrap();
        }
        prop_assert_eq!(all(&engine, "plain"), all(&engine, "arrow"));
        if flush {
            engine.flush().unwrap();
        }
        let before = all(&engine, "arrow");
        drop((engine, plain, arrow));
        let engine = open();
        prop_assert_eq!(&all(&engine, "plain"), &before);
        prop_assert_eq!(all(&engine, "arrow"), before);
    }
}

#[test]
fn what_a_column_does_not_hold_is_refused() {
    let engine = Engine::open(Arc::new(SimStorage::new()), Options::default()).unwrap();
    let def = table(&engine, "t", &["text"]);
    let bytes = [1, 2, 3];
    let parts = Parts::default();
    let good = values(&parts, 0).into_iter().map(|value| match value {
        Value::Text(_) => Value::Text("a"),
        Value::Bytes(_) => Value::Bytes(&bytes),
        other => other,
    });
    let good: Vec<Value<'_>> = good.collect();
    let mut write = WriteBatch::new();
    let bad = [
        (0, Value::Null),
        (0, Value::Int(1)),
        (1, Value::Int(128)),
        (1, Value::Int(-129)),
        (1, Value::Float(1.0)),
        (3, Value::Int(-1)),
        (3, Value::Int(1 << 64)),
        (4, Value::Int((1 << 24) + 1)),
        (5, Value::Int((1 << 53) + 1)),
        (5, Value::Int(i128::MAX)),
        (5, Value::Text("1")),
        (6, Value::Int(1)),
        (7, Value::Int(1 << 31)),
        (9, Value::Bytes(&[1, 2])),
        (10, Value::Int(1)),
        (11, Value::Bytes(&bytes)),
    ];
    for (column, value) in bad {
        let mut row = good.clone();
        row[column] = value;
        assert!(matches!(write.insert_row(&def, &row), Err(Error::Invalid { .. })), "{column}: {value:?}");
    }
    assert!(matches!(write.insert_row(&def, &good[1..]), Err(Error::Invalid { .. })));
    assert_eq!(write.rows(), 0);
    write.insert_row(&def, &good).unwrap();
    assert_eq!(engine.commit(write.clone()).unwrap(), SeqNo(2));
    assert!(matches!(engine.commit(write), Err(Error::AlreadyExists { .. })));
}

#[test]
fn rows_of_values_meet_the_rules_of_their_table() {
    let engine = Engine::open(Arc::new(SimStorage::new()), small()).unwrap();
    let (with_key, without) = (keyed(&engine, "k"), keyless(&engine, "l"));
    let mut write = WriteBatch::new();
    assert!(write.upsert_row(&without, &[Value::Int(1), Value::Null]).is_err());
    write.insert_row(&without, &[Value::Null, Value::Text("x")]).unwrap();
    write.insert_row(&without, &[Value::Null, Value::Text("x")]).unwrap();
    write.insert_row(&with_key, &[Value::Int(1), Value::Text("x")]).unwrap();
    engine.commit(write.clone()).unwrap();
    write = WriteBatch::new();
    write.insert_row(&with_key, &[Value::Int(2), Value::Null]).unwrap();
    write.insert_row(&with_key, &[Value::Int(2), Value::Null]).unwrap();
    assert!(matches!(engine.commit(write), Err(Error::AlreadyExists { .. })), "twice in one batch");
    let view = engine.snapshot().unwrap();
    let rows = |name: &str| {
        view.table(&TableName::public(name))
            .unwrap()
            .parts()
            .unwrap()
            .iter()
            .map(|part| part.rows())
            .sum::<u64>()
    };
    assert_eq!((rows("k"), rows("l")), (1, 2));
}

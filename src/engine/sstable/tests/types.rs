//! Every type that a table can hold comes back as it was.

use arrow::array::{
    Array, BooleanArray, Date32Array, Decimal128Array, Decimal256Array, DictionaryArray,
    FixedSizeBinaryArray, FixedSizeListArray, Float16Array, Float32Array, Int32Array, IntervalDayTimeArray,
    ListArray, MapBuilder, NullArray, StringArray, StringBuilder, StringViewArray, StringViewBuilder,
    StructArray, TimestampNanosecondArray, UInt8Array, new_null_array,
};
use arrow::array::{Int32Builder, LargeListBuilder};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Float32Type, Int8Type, Int32Type, IntervalDayTime, i256};

use super::*;
use crate::common::ErrorKind;

const ROWS: usize = 50;

fn long(i: usize) -> String {
    format!("a string too long to stand in a view {i}")
}

fn nested_views() -> ArrayRef {
    let mut lists = LargeListBuilder::new(StringViewBuilder::new());
    for i in 0..ROWS {
        lists.values().append_value(long(i));
        lists.values().append_null();
        lists.append(i % 3 != 0);
    }
    Arc::new(lists.finish())
}

fn maps() -> ArrayRef {
    let mut maps = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    for i in 0..ROWS {
        maps.keys().append_value(format!("k{i}"));
        maps.values().append_value(i as i32);
        maps.append(i % 4 != 0).unwrap();
    }
    Arc::new(maps.finish())
}

/// One column of each type, every third value null.
pub(super) fn columns() -> Vec<(&'static str, ArrayRef)> {
    let some = |i: usize| i % 3 != 2;
    let n = || (0..ROWS).map(|i| some(i).then_some(i as i32));
    let ints: ArrayRef = Arc::new(Int32Array::from_iter(n()));
    let texts: ArrayRef = Arc::new(StringArray::from_iter((0..ROWS).map(|i| some(i).then(|| long(i)))));
    let vectors = (0..ROWS).map(|i| some(i).then(|| vec![Some(i as f32), None, Some(-1.0)]));
    let fields = vec![
        (Arc::new(Field::new("n", DataType::Int32, true)), Arc::clone(&ints)),
        (Arc::new(Field::new("t", DataType::Utf8View, true)), cast(&texts, &DataType::Utf8View).unwrap()),
    ];
    vec![
        ("int", Arc::clone(&ints)),
        ("bool", Arc::new(BooleanArray::from_iter(n().map(|v| v.map(|v| v % 2 == 0))))),
        ("half", Arc::new(Float16Array::from_iter((0..ROWS).map(|_| None)))),
        ("f32", Arc::new(Float32Array::from_iter(n().map(|v| v.map(|v| v as f32))))),
        ("u8", Arc::new(UInt8Array::from_iter(n().map(|v| v.map(|v| v as u8))))),
        ("date", Arc::new(Date32Array::from_iter(n()))),
        (
            "time",
            Arc::new(TimestampNanosecondArray::from_iter(n().map(|v| v.map(i64::from))).with_timezone("UTC")),
        ),
        ("dec", Arc::new(Decimal128Array::from_iter(n().map(|v| v.map(i128::from))))),
        ("wide", Arc::new(Decimal256Array::from_iter(n().map(|v| v.map(|v| i256::from_i128(v.into())))))),
        (
            "interval",
            Arc::new(IntervalDayTimeArray::from_iter(n().map(|v| v.map(|v| IntervalDayTime::new(v, v))))),
        ),
        ("text", Arc::clone(&texts)),
        ("large", cast(&texts, &DataType::LargeUtf8).unwrap()),
        ("view", cast(&texts, &DataType::Utf8View).unwrap()),
        ("binary", cast(&texts, &DataType::Binary).unwrap()),
        ("binary_view", cast(&texts, &DataType::BinaryView).unwrap()),
        ("fixed", Arc::new(FixedSizeBinaryArray::try_from_iter((0..ROWS).map(|i| [i as u8; 5])).unwrap())),
        ("null", Arc::new(NullArray::new(ROWS))),
        (
            "list",
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(
                (0..ROWS).map(|i| some(i).then(|| vec![Some(1); i % 4])),
            )),
        ),
        ("vector", Arc::new(FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(vectors, 3))),
        ("struct", Arc::new(StructArray::from(fields))),
        ("views", nested_views()),
        ("map", maps()),
        ("all_null", new_null_array(&DataType::new_list(DataType::Utf8, true), ROWS)),
    ]
}

#[test]
fn every_type_comes_back_mapped_and_not() {
    let batch = batch_of(columns());
    for mmap in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let storage = local(dir.path(), mmap);
        for (file, batch_rows) in [(1, 1), (2, 7), (3, 50), (4, 100)] {
            let info = write_keyless(&storage, file, &batch, &row_ids(0..ROWS as u64), batch_rows);
            let reader = open(&storage, &info, None);
            assert_eq!(concat_batches(reader.schema(), &read_all(&reader)).unwrap(), batch);
            for column in 0..batch.num_columns() {
                let reader = open(&storage, &info, None);
                let alone: Vec<_> = (0..reader.num_batches())
                    .map(|i| reader.read_batch(i, Some(&[column])).unwrap())
                    .collect();
                let alone = concat_batches(alone[0].schema_ref(), &alone).unwrap();
                assert_eq!(alone.column(0), batch.column(column));
            }
            reader.verify().unwrap();
        }
    }
}

#[test]
fn no_columns_are_rows_all_the_same() {
    let storage = memory();
    let batch = batch_of(columns());
    let info = write_keyless(&storage, 1, &batch, &row_ids(0..ROWS as u64), 16);
    let reader = open(&storage, &info, None);
    assert_eq!(reader.read_batch(3, Some(&[])).unwrap().num_rows(), 2);
    assert_eq!(reader.take_rows(&[40, 3], Some(&[])).unwrap().num_rows(), 2);
    assert_eq!(reader.read_batch(4, None).unwrap_err().kind(), ErrorKind::Invalid);
    assert!(reader.read_batch(0, Some(&[99])).is_err());
}

#[test]
fn dictionaries_are_stored_as_their_values() {
    let storage = memory();
    let words: DictionaryArray<Int8Type> = ["a", "b", "a"].into_iter().collect();
    let other: DictionaryArray<Int8Type> = ["z", "a", "z"].into_iter().collect();
    let first = batch_of(vec![("w", Arc::new(words))]);
    let second = batch_of(vec![("w", Arc::new(other))]);
    let header = header(1, first.schema_ref(), SstKey::RowId, 4);
    let mut writer = SstWriter::create(Arc::clone(&storage), header).unwrap();
    writer.write(&first, RowKeys::RowIds(&row_ids(0..3))).unwrap();
    writer.write(&second, RowKeys::RowIds(&row_ids(3..6))).unwrap();
    let info = writer.finish(SeqNo(1), SeqNo(2)).unwrap();
    let reader = open(&storage, &info, None);
    let all = concat_batches(reader.schema(), &read_all(&reader)).unwrap();
    assert_eq!(all.column(0).as_ref(), &StringArray::from(vec!["a", "b", "a", "z", "a", "z"]) as &dyn Array);
}

#[test]
fn views_leave_behind_what_they_do_not_show() {
    let storage = memory();
    let texts = StringViewArray::from_iter_values((0..10_000).map(long));
    let batch = batch_of(vec![("t", Arc::new(texts.slice(9_990, 10)))]);
    let info = write_keyless(&storage, 1, &batch, &row_ids(0..10), 16);
    assert!(info.data_len < 8_192, "{} bytes for ten strings", info.data_len);
}

#[test]
fn nesting_too_deep_to_check_is_refused() {
    let mut data_type = DataType::Int32;
    for _ in 0..40 {
        data_type = DataType::new_list(data_type, true);
    }
    let batch = batch_of(vec![("deep", new_null_array(&data_type, 1))]);
    let error = SstWriter::create(memory(), header(1, batch.schema_ref(), SstKey::RowId, 4)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
}

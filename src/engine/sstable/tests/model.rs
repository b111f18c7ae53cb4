//! Lookups, bounds and row access against a sorted list.

use std::collections::BTreeMap;
use std::io::Cursor;

use arrow::array::{Array, AsArray, BinaryArray, Int64Array, StringArray, StringViewArray, UInt64Array};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use arrow::ipc::reader::FileReader as IpcReader;
use proptest::prelude::*;

use super::*;
use crate::common::ErrorKind;

/// Which columns make the key, to reach each kind of search.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Int,
    Text,
    View,
    Tuple,
}

/// Rows in key order; `k % 7 == 0` has a null payload.
fn rows(shape: Shape, keys: &[i64]) -> RecordBatch {
    let text = || keys.iter().map(|k| format!("key-{:020}", k.wrapping_add(1 << 40)));
    let payload: ArrayRef =
        Arc::new(Int64Array::from_iter(keys.iter().map(|k| (k % 7 != 0).then_some(k * 2))));
    let label: ArrayRef = Arc::new(StringViewArray::from_iter_values(text().map(|t| t.repeat(2))));
    let ints: ArrayRef = Arc::new(Int64Array::from(keys.to_vec()));
    match shape {
        Shape::Int => batch_of(vec![("k", ints), ("payload", payload), ("label", label)]),
        Shape::Text => {
            batch_of(vec![("k", Arc::new(StringArray::from_iter_values(text()))), ("payload", payload)])
        }
        Shape::View => {
            batch_of(vec![("k", Arc::new(StringViewArray::from_iter_values(text()))), ("payload", payload)])
        }
        Shape::Tuple => {
            let prefix = StringArray::from_iter_values(keys.iter().map(|k| if *k < 0 { "a" } else { "b" }));
            batch_of(vec![("p", Arc::new(prefix)), ("k", ints), ("payload", payload), ("label", label)])
        }
    }
}

fn key_columns(shape: Shape) -> usize {
    if matches!(shape, Shape::Tuple) { 2 } else { 1 }
}

fn check(
    storage: &Arc<dyn Storage>,
    shape: Shape,
    keys: &[i64],
    probes: &[i64],
    batch_rows: usize,
    piece: usize,
) {
    let batch = rows(shape, keys);
    let spec = key_spec(&batch, key_columns(shape));
    let encode = |batch: &RecordBatch| spec.codec.encode(&batch.columns()[..spec.columns.len()]).unwrap();
    let info = write_keyed(storage, 1, &batch, &spec, batch_rows, piece);
    let reader = open(storage, &info, Some(&spec));
    let encoded = encode(&batch);
    let model: BTreeMap<Vec<u8>, u64> =
        encoded.iter().flatten().zip(0..).map(|(key, row)| (key.to_vec(), row)).collect();
    assert_eq!(
        (info.min_key.as_slice(), info.max_key.as_slice()),
        (encoded.value(0), encoded.value(keys.len() - 1))
    );

    let mut probes: Vec<i64> = probes.iter().chain(keys).copied().collect();
    probes.sort_unstable();
    probes.dedup();
    let wanted = encode(&rows(shape, &probes));
    let mut expected_many = Vec::new();
    for (i, key) in wanted.iter().flatten().enumerate() {
        let expected = model.get(key).copied();
        assert_eq!(reader.find(key).unwrap(), expected);
        expected_many.extend(expected.map(|row| (i, row)));
        for bound in [key, &key[..key.len() - 1], &[key, &[0]].concat()] {
            let expected = model.range(bound.to_vec()..).next().map_or(keys.len() as u64, |(_, row)| *row);
            assert_eq!(reader.lower_bound(bound).unwrap(), expected);
        }
    }
    assert_eq!(reader.find_many(&crate::sstable::SortedKeys::new(wanted).unwrap()).unwrap(), expected_many);

    let batches = read_all(&reader);
    assert_eq!(concat_batches(reader.schema(), &batches).unwrap(), batch);
    assert!(batches.iter().rev().skip(1).all(|b| b.num_rows() == batch_rows));
    let listed: Vec<BinaryArray> = (0..reader.num_batches()).map(|i| reader.keys(i).unwrap()).collect();
    assert!(listed.iter().flatten().eq(encoded.iter()));
    check_rows(&reader, &batch, &probes);
    check_stats(&reader, &batches, key_columns(shape));
    reader.verify().unwrap();
}

fn check_rows(reader: &SstReader, batch: &RecordBatch, order: &[i64]) {
    let rows: Vec<u64> =
        order.iter().map(|n| n.rem_euclid(batch.num_rows() as i64).cast_unsigned()).collect();
    let projection = [batch.num_columns() - 1, 0, 0];
    let taken = reader.take_rows(&rows, Some(&projection)).unwrap();
    let indices = UInt64Array::from(rows.clone());
    let expected = arrow::compute::take_record_batch(&batch.project(&projection).unwrap(), &indices).unwrap();
    assert_eq!(taken.columns(), expected.columns());
    assert_eq!(reader.take_rows(&rows[..1], None).unwrap(), batch.slice(rows[0] as usize, 1));
    assert_eq!(reader.take_rows(&[], None).unwrap().num_rows(), 0);
    assert_eq!(reader.take_rows(&[reader.info().rows], None).unwrap_err().kind(), ErrorKind::Invalid);
}

fn check_stats(reader: &SstReader, batches: &[RecordBatch], column: usize) {
    let stats = reader.stats(column).unwrap();
    for (i, batch) in batches.iter().enumerate() {
        let values = batch.column(column).as_primitive::<Int64Type>();
        assert_eq!(stats.null_count.value(i), values.null_count() as u64);
        let bound = |array: &ArrayRef| array.is_valid(i).then(|| array.as_primitive::<Int64Type>().value(i));
        assert_eq!(bound(&stats.min), arrow::compute::min(values));
        assert_eq!(bound(&stats.max), arrow::compute::max(values));
    }
}

fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![Just(Shape::Int), Just(Shape::Text), Just(Shape::View), Just(Shape::Tuple)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_table_answers_as_a_sorted_list_does(
        shape in shape(), keys in prop::collection::btree_set(-300..300i64, 1..160),
        probes in prop::collection::vec(-320..320i64, 0..30), batch_rows in 1..40usize, piece in 1..60usize,
    ) {
        let keys: Vec<i64> = keys.into_iter().collect();
        check(&memory(), shape, &keys, &probes, batch_rows, piece);
    }

    #[test]
    fn row_ids_are_found(ids in prop::collection::btree_set(0..400u64, 1..120), batch_rows in 1..40usize) {
        let storage = memory();
        let runs = row_ids(ids.iter().copied());
        let batch = batch_of(vec![("v", Arc::new(UInt64Array::from_iter_values(ids.iter().copied())))]);
        let info = write_keyless(&storage, 1, &batch, &runs, batch_rows);
        let reader = open(&storage, &info, None);
        prop_assert_eq!(&info.min_key, &ids.first().unwrap().to_be_bytes());
        for id in 0..401 {
            let row = ids.iter().position(|i| *i == id).map(|row| row as u64);
            prop_assert_eq!(reader.find_row_id(RowId(id)), row);
            let bound = ids.iter().filter(|i| **i < id).count() as u64;
            prop_assert_eq!(reader.lower_bound(&id.to_be_bytes()).unwrap(), bound);
        }
        prop_assert_eq!(&reader.row_ids(0..info.rows), &UInt64Array::from_iter_values(ids));
        prop_assert!(reader.find(&[0; 8]).is_err());
        reader.verify().unwrap();
    }
}

#[test]
fn disk_files_answer_alike_mapped_and_not() {
    let keys: Vec<i64> = (0..5000).map(|i| i * 3).collect();
    for mmap in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let storage = local(dir.path(), mmap);
        check(&storage, Shape::Int, &keys, &[1, 2, 14_000, 20_000], 512, 700);
    }
}

#[test]
fn any_arrow_reader_opens_the_data_file() {
    let storage = memory();
    let batch = rows(Shape::Tuple, &(0..100).collect::<Vec<_>>());
    let info = write_keyed(&storage, 7, &batch, &key_spec(&batch, 2), 32, 100);
    let file = storage.open("sst/7.arrow").unwrap();
    let bytes = file.read(0..file.len()).unwrap();
    let reader = IpcReader::try_new(Cursor::new(bytes.as_slice()), None).unwrap();
    assert_eq!(reader.schema().metadata()["trilith:database"], DATABASE.to_string());
    assert_eq!(reader.schema().metadata()["trilith:file"], "7");
    assert_eq!(reader.schema().field(1).metadata()[COLUMN_ID_KEY], "11");
    let batches: Vec<_> = reader.map(Result::unwrap).collect();
    assert_eq!(concat_batches(batch.schema_ref(), &batches).unwrap(), batch);
    assert_eq!(info.rows, 100);
}

#[test]
fn a_warm_read_shares_the_mapping() {
    let storage = memory();
    let batch = rows(Shape::Int, &(0..100).collect::<Vec<_>>());
    let spec = key_spec(&batch, 1);
    let info = write_keyed(&storage, 1, &batch, &spec, 32, 100);
    let reader = open(&storage, &info, Some(&spec));
    let file = storage.open("sst/1.arrow").unwrap().read(0..info.data_len).unwrap();
    let within = |batch: &RecordBatch| {
        let at = batch.column(0).as_primitive::<Int64Type>().values().inner().as_ptr();
        file.as_slice().as_ptr_range().contains(&at)
    };
    let first = reader.read_batch(1, Some(&[0])).unwrap();
    assert!(within(&first) && within(&reader.read_batch(1, None).unwrap()));
}

#[test]
fn keys_out_of_order_are_refused() {
    let storage = memory();
    let batch = rows(Shape::Int, &[2, 1]);
    let spec = key_spec(&batch, 1);
    let mut writer =
        SstWriter::create(Arc::clone(&storage), header(1, batch.schema_ref(), SstKey::Keyed, 4)).unwrap();
    let keys = spec.codec.encode(&batch.columns()[..1]).unwrap();
    assert_eq!(writer.write(&batch, RowKeys::Encoded(&keys)).unwrap_err().kind(), ErrorKind::Internal);
    let mut writer = SstWriter::create(storage, header(2, batch.schema_ref(), SstKey::RowId, 4)).unwrap();
    assert!(writer.write(&batch, RowKeys::Encoded(&keys)).is_err());
    writer.write(&batch, RowKeys::RowIds(&row_ids([5, 6]))).unwrap();
    assert!(writer.write(&batch, RowKeys::RowIds(&row_ids([6, 7]))).is_err());
}

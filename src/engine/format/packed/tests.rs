//! Rows there and back, and what others made of the bytes.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::{Field, Float32Type, Int32Type, Schema};
use proptest::prelude::*;

use super::*;

fn batch(values: &[Option<i64>]) -> RecordBatch {
    let texts = values.iter().map(|value| value.map(|value| format!("é{value}")));
    let texts: Vec<Option<String>> = texts.collect();
    let present = values.iter().map(|value| value.unwrap_or_default());
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(values.to_vec())),
        Arc::new(Int8Array::from_iter_values(present.clone().map(|value| value as i8))),
        Arc::new(Decimal128Array::from_iter_values(present.clone().map(i128::from))),
        Arc::new(Float64Array::from_iter_values(present.clone().map(|value| value as f64))),
        Arc::new(BooleanArray::from_iter(values.iter().map(|value| value.map(|value| value % 2 == 0)))),
        Arc::new(StringArray::from(texts.clone())),
        Arc::new(LargeStringArray::from(texts.clone())),
        Arc::new(BinaryArray::from_iter(texts.iter().map(|text| text.as_ref().map(String::as_bytes)))),
        Arc::new(TimestampMicrosecondArray::from(values.to_vec()).with_timezone("+01:00")),
        Arc::new(pairs(values, &texts)),
        Arc::new(FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(
            values.iter().map(|value| value.map(|value| [Some(value as f32), None, Some(1.0)])),
            3,
        )),
    ];
    let fields = columns.iter().map(|column| Field::new("c", column.data_type().clone(), true));
    RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), columns).unwrap()
}

/// A document: two fields under one bitmap.
fn pairs(values: &[Option<i64>], texts: &[Option<String>]) -> StructArray {
    let parts: Vec<ArrayRef> = vec![
        Arc::new(BinaryArray::from_iter_values(texts.iter().map(|text| text.clone().unwrap_or_default()))),
        Arc::new(Int64Array::from(values.to_vec())),
    ];
    let fields = parts.iter().map(|part| Field::new("f", part.data_type().clone(), true)).collect();
    let valid = values.iter().map(|value| value.is_none_or(|value| value % 3 != 0)).collect::<Vec<_>>();
    StructArray::new(fields, parts, Some(valid.into()))
}

proptest! {
    #[test]
    fn rows_gather_from_many_pieces(pieces in prop::collection::vec(prop::collection::vec(prop::option::of(any::<i64>()), 0..9), 0..9)) {
        let mut columns = PackedColumns::new(&batch(&[]).schema()).unwrap();
        for piece in &pieces {
            columns.push(&pack(&batch(piece)).unwrap(), piece.len()).unwrap();
        }
        prop_assert_eq!(columns.finish().unwrap(), batch(&pieces.concat()));
    }

    #[test]
    fn rows_come_back(values in prop::collection::vec(prop::option::of(any::<i64>()), 0..40), cut in 0usize..40) {
        let batch = batch(&values);
        let batch = batch.slice(cut.min(batch.num_rows()), batch.num_rows() - cut.min(batch.num_rows()));
        match pack(&batch) {
            Some(bytes) => {
                prop_assert_eq!(&unpack(&bytes, batch.num_rows(), &batch.schema()).unwrap(), &batch);
                prop_assert!(unpack(&bytes[..bytes.len() - 1], batch.num_rows(), &batch.schema()).is_err());
            }
            None => prop_assert!(batch.num_rows() > PACKED_ROWS_MAX),
        }
    }

    #[test]
    fn any_bytes_are_rows_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200), rows in 0usize..40) {
        let _ = unpack(&bytes, rows, &batch(&[]).schema());
    }
}

#[test]
fn other_types_stay_arrow_messages() {
    let words: DictionaryArray<Int32Type> = ["a"].into_iter().collect();
    let words: ArrayRef = Arc::new(words);
    assert_eq!(pack(&RecordBatch::try_from_iter([("w", words)]).unwrap()), None);
}

#![expect(clippy::unwrap_used, reason = "tests")]
//! Order and round trips of keys, over every type that can be one.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, Decimal256Array, FixedSizeBinaryArray, Float32Array,
    Float64Array, Int64Array, StringArray, UInt64Array, make_comparator,
};
use arrow::compute::{SortOptions, cast};
use arrow::datatypes::{DataType, TimeUnit, i256};
use proptest::prelude::*;

use super::*;

fn ints(values: &[i64], data_type: &DataType) -> ArrayRef {
    cast(&Int64Array::from(values.to_vec()), data_type).unwrap()
}

fn strings(values: &[Vec<u8>], data_type: &DataType) -> ArrayRef {
    let text: Vec<String> = values.iter().map(|v| v.iter().map(|b| char::from(*b)).collect()).collect();
    cast(&StringArray::from(text), data_type).unwrap()
}

/// Every supported type, filled from the same raw material.
fn column_of(kind: usize, raw: &[(i64, Vec<u8>)]) -> ArrayRef {
    let numbers: Vec<i64> = raw.iter().map(|(n, _)| *n).collect();
    let small = |max: i64| numbers.iter().map(|n| n.rem_euclid(max)).collect::<Vec<_>>();
    let bytes: Vec<Vec<u8>> = raw.iter().map(|(_, b)| b.clone()).collect();
    let float = |n: &i64| f64::from_bits(n.cast_unsigned());
    let finite = |x: f64| if x.is_nan() { -0.0 } else { x };
    match kind {
        0 => ints(&small(127), &DataType::Int8),
        1 => ints(&small(30_000), &DataType::Int16),
        2 => ints(&numbers.iter().map(|n| n >> 33).collect::<Vec<_>>(), &DataType::Int32),
        3 => ints(&numbers, &DataType::Int64),
        4 => ints(&small(256), &DataType::UInt8),
        5 => ints(&small(65_536), &DataType::UInt16),
        6 => ints(&small(1 << 32), &DataType::UInt32),
        7 => Arc::new(UInt64Array::from_iter_values(numbers.iter().map(|n| n.cast_unsigned()))),
        8 => Arc::new(BooleanArray::from_iter(numbers.iter().map(|n| Some(n % 2 == 0)))),
        9 => Arc::new(Float64Array::from_iter_values(numbers.iter().map(|n| finite(float(n))))),
        10 => Arc::new(Float32Array::from_iter_values(numbers.iter().map(|n| finite(float(n)) as f32))),
        11 => cast(
            &ints(&numbers.iter().map(|n| n >> 33).collect::<Vec<_>>(), &DataType::Int32),
            &DataType::Date32,
        )
        .unwrap(),
        12 => ints(&numbers, &DataType::Date64),
        13 => ints(&small(86_400), &DataType::Time64(TimeUnit::Nanosecond)),
        14 => ints(&numbers, &DataType::Timestamp(TimeUnit::Microsecond, Some("Europe/Berlin".into()))),
        15 => Arc::new(
            Decimal128Array::from_iter_values(numbers.iter().map(|n| i128::from(*n) << 60))
                .with_precision_and_scale(38, 3)
                .unwrap(),
        ),
        16 => Arc::new(Decimal256Array::from_iter_values(
            numbers.iter().map(|n| i256::from_i128(i128::from(*n) << 60)),
        )),
        17 => strings(&bytes, &DataType::Utf8),
        18 => strings(&bytes, &DataType::LargeUtf8),
        19 => strings(&bytes, &DataType::Utf8View),
        20 => strings(&bytes, &DataType::Binary),
        21 => strings(&bytes, &DataType::LargeBinary),
        22 => strings(&bytes, &DataType::BinaryView),
        _ => Arc::new(FixedSizeBinaryArray::try_from_iter(numbers.iter().map(|n| n.to_le_bytes())).unwrap()),
    }
}

const KINDS: usize = 24;

/// -0 and 0 are one key, so the oracle must not tell them apart either.
fn without_negative_zero(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Float64 => {
            let values = column.as_any().downcast_ref::<Float64Array>().unwrap();
            Arc::new(Float64Array::from_iter_values(values.values().iter().map(|v| v + 0.0)))
        }
        DataType::Float32 => {
            let values = column.as_any().downcast_ref::<Float32Array>().unwrap();
            Arc::new(Float32Array::from_iter_values(values.values().iter().map(|v| v + 0.0)))
        }
        _ => Arc::clone(column),
    }
}

fn check(columns: &[ArrayRef]) {
    let types: Vec<_> = columns.iter().map(|c| c.data_type().clone()).collect();
    let codec = KeyCodec::new(&types).unwrap();
    let keys = codec.encode(columns).unwrap();
    let canonical: Vec<_> = columns.iter().map(without_negative_zero).collect();
    let comparators: Vec<_> =
        canonical.iter().map(|c| make_comparator(c, c, SortOptions::default()).unwrap()).collect();
    for a in 0..keys.len() {
        assert_eq!(codec.encode_row(columns, a).unwrap(), keys.value(a));
        for b in 0..keys.len() {
            let expected = comparators.iter().map(|compare| compare(a, b)).find(|o| o.is_ne());
            assert_eq!(keys.value(a).cmp(keys.value(b)), expected.unwrap_or(std::cmp::Ordering::Equal));
        }
    }
    assert_eq!(codec.decode(&keys).unwrap(), canonical);
    // A slice encodes like its rows.
    let tail: Vec<_> = columns.iter().map(|c| c.slice(1, c.len() - 1)).collect();
    let tail_keys = codec.encode(&tail).unwrap();
    assert!(tail_keys.iter().eq(keys.iter().skip(1)));
}

fn raw() -> impl Strategy<Value = Vec<(i64, Vec<u8>)>> {
    let number = prop_oneof![any::<i64>(), -3..4i64, Just(i64::MIN), Just(i64::MAX)];
    let bytes = prop::collection::vec(prop_oneof![Just(0u8), Just(1u8), Just(0x7f), any::<u8>()], 0..4);
    prop::collection::vec((number, bytes), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn order_is_kept_for_every_type(rows in raw()) {
        for kind in 0..KINDS {
            check(&[column_of(kind, &rows)]);
        }
    }

    #[test]
    fn order_is_kept_for_tuples(rows in raw(), kinds in prop::collection::vec(0..KINDS, 2..4)) {
        let columns: Vec<_> = kinds.iter().map(|kind| column_of(*kind, &rows)).collect();
        check(&columns);
    }

    #[test]
    fn damaged_keys_never_panic(rows in raw(), kinds in prop::collection::vec(0..KINDS, 1..4),
                                junk in prop::collection::vec(any::<u8>(), 0..24)) {
        let types: Vec<_> = kinds.iter().map(|kind| column_of(*kind, &rows).data_type().clone()).collect();
        let codec = KeyCodec::new(&types).unwrap();
        let _ = codec.decode_one(&junk);
        prop_assert!(!codec.display(&junk).is_empty());
    }
}

#[test]
fn keys_are_shown_as_sql() {
    let one = |columns: Vec<ArrayRef>| {
        let types: Vec<_> = columns.iter().map(|c| c.data_type().clone()).collect();
        let codec = KeyCodec::new(&types).unwrap();
        codec.display(&codec.encode_row(&columns, 0).unwrap())
    };
    assert_eq!(one(vec![ints(&[-7], &DataType::Int64)]), "-7");
    assert_eq!(
        one(vec![Arc::new(StringArray::from(vec!["it's"])), ints(&[1], &DataType::Int32)]),
        "('it''s', 1)"
    );
    assert_eq!(one(vec![strings(&[vec![1, 0x7f]], &DataType::Binary)]), "X'017F'");
    assert_eq!(one(vec![ints(&[0], &DataType::Date64)]), "'1970-01-01T00:00:00'");
}

#[test]
fn what_cannot_be_a_key_is_refused() {
    let list = DataType::new_list(DataType::Int32, true);
    for data_type in [list, DataType::Float16, DataType::Null] {
        let error = KeyCodec::new(&[data_type]).unwrap_err().to_string();
        assert!(error.contains("primary key of type"), "{error}");
    }
    assert!(KeyCodec::new(&[]).is_err());
    let codec = KeyCodec::new(&[DataType::Int64]).unwrap();
    let null: ArrayRef = Arc::new(Int64Array::from(vec![None, Some(1)]));
    assert!(codec.encode(&[null]).unwrap_err().to_string().contains("must not be null"));
    assert!(codec.encode(&[ints(&[1], &DataType::Int32)]).unwrap_err().to_string().contains("Int64"));
    assert!(codec.encode_row(&[ints(&[1], &DataType::Int64)], 1).is_err());
}

#[test]
fn the_layout_is_frozen() {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec!["a\0b"])),
        ints(&[-2], &DataType::Int16),
        ints(&[5], &DataType::UInt8),
    ];
    let codec = KeyCodec::new(&[DataType::Utf8, DataType::Int16, DataType::UInt8]).unwrap();
    assert_eq!(codec.encode_row(&columns, 0).unwrap(), [b'a', 0, 0xff, b'b', 0, 0, 0x7f, 0xfe, 5]);
}

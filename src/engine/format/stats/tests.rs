#![expect(clippy::unwrap_used, reason = "tests")]
//! Bounds are never narrower than the data.

use super::*;
use arrow::array::{
    BinaryArray, BooleanArray, Float64Array, Int64Array, ListArray, StringArray, StringViewArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Int32Type};
use proptest::prelude::*;

fn stats_of(batches: Vec<ArrayRef>) -> Option<ColumnStats> {
    let field = Field::new("c", batches[0].data_type().clone(), true);
    let schema = Arc::new(Schema::new(vec![field]));
    let mut builder = ZoneBuilder::new(&schema);
    for values in batches {
        builder.push(&RecordBatch::try_new(Arc::clone(&schema), vec![values]).unwrap());
    }
    Zones::decode(Buffer::from_vec(builder.finish().unwrap())).unwrap().column(0)
}

#[test]
fn numbers_booleans_and_times_are_exact() {
    let stats = stats_of(vec![
        Arc::new(Int64Array::from(vec![Some(3), None, Some(-5)])),
        Arc::new(Int64Array::from(vec![None::<i64>, None])),
    ])
    .unwrap();
    assert_eq!(stats.min.as_ref(), &Int64Array::from(vec![Some(-5), None]) as &dyn Array);
    assert_eq!(stats.max.as_ref(), &Int64Array::from(vec![Some(3), None]) as &dyn Array);
    assert_eq!(stats.null_count, UInt64Array::from(vec![1, 2]));

    let stats = stats_of(vec![Arc::new(BooleanArray::from(vec![true, true]))]).unwrap();
    assert_eq!(stats.min.as_ref(), &BooleanArray::from(vec![true]) as &dyn Array);

    let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![5, 1]).with_timezone("UTC"));
    let stats = stats_of(vec![Arc::clone(&times)]).unwrap();
    assert_eq!(stats.min.as_ref(), times.slice(1, 1).as_ref());
}

#[test]
fn a_nan_takes_the_bounds_away_and_zero_covers_both_signs() {
    let stats = stats_of(vec![
        Arc::new(Float64Array::from(vec![1.0, f64::NAN])),
        Arc::new(Float64Array::from(vec![0.0])),
    ])
    .unwrap();
    assert!(stats.min.is_null(0) && stats.max.is_null(0));
    assert!(stats.min.as_primitive::<arrow::datatypes::Float64Type>().value(1).is_sign_negative());
    let stats = stats_of(vec![Arc::new(Float64Array::from(vec![-0.0]))]).unwrap();
    assert!(stats.max.as_primitive::<arrow::datatypes::Float64Type>().value(0).is_sign_positive());
}

#[test]
fn long_text_is_cut_and_rounded_up() {
    let long = "z".repeat(31) + "\u{d7ff}tail";
    let stats = stats_of(vec![Arc::new(StringArray::from(vec![long.as_str()]))]).unwrap();
    assert_eq!(stats.min.as_string::<i32>().value(0), "z".repeat(31));
    assert_eq!(stats.max.as_string::<i32>().value(0), "z".repeat(30) + "{");
    let wide = "\u{d7ff}".repeat(11);
    let stats = stats_of(vec![Arc::new(StringViewArray::from(vec![wide.as_str()]))]).unwrap();
    assert_eq!(stats.max.as_string_view().value(0), "\u{d7ff}".repeat(9) + "\u{e000}");
    let last = "\u{10ffff}".repeat(9);
    let stats = stats_of(vec![Arc::new(StringArray::from(vec![last.as_str()]))]).unwrap();
    assert!(stats.max.is_null(0) && stats.min.is_valid(0));
    let stats = stats_of(vec![Arc::new(BinaryArray::from(vec![[0xff_u8; 40].as_slice()]))]).unwrap();
    assert!(stats.max.is_null(0));
}

#[test]
fn nested_columns_have_no_zone_maps() {
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1)])]);
    assert!(stats_of(vec![Arc::new(lists)]).is_none());
    assert!(!has_bounds(&DataType::Null));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_string_lies_outside_its_bounds(texts in prop::collection::vec("[a\u{10ffff}\u{d7ff}é]{0,40}", 1..6)) {
        let stats = stats_of(vec![Arc::new(StringArray::from(texts.clone()))]).unwrap();
        let (min, max) = (stats.min.as_string::<i32>(), stats.max.as_string::<i32>());
        for text in &texts {
            prop_assert!(min.value(0) <= text.as_str());
            prop_assert!(max.is_null(0) || max.value(0) >= text.as_str());
        }
        prop_assert!(min.value(0).len() <= bounds::BOUND_LEN && max.value(0).len() <= bounds::BOUND_LEN);
    }

    #[test]
    fn no_bytes_lie_outside_their_bounds(all in prop::collection::vec(prop::collection::vec(prop_oneof![Just(0xffu8), any::<u8>()], 0..40), 1..6)) {
        let slices: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
        let stats = stats_of(vec![Arc::new(BinaryArray::from(slices.clone()))]).unwrap();
        let (min, max) = (stats.min.as_binary::<i32>(), stats.max.as_binary::<i32>());
        for bytes in slices {
            prop_assert!(min.value(0) <= bytes);
            prop_assert!(max.is_null(0) || max.value(0) >= bytes);
        }
    }
}

//! SQL over vectors, through a DataFusion session.
#![expect(clippy::unwrap_used, reason = "tests")]

use crate::kernels::{Element, Metric, distance};
use crate::session::{failure, register, rows, session, try_rows, value};
use arrow::array::{
    ArrayRef, AsArray, FixedSizeBinaryArray, FixedSizeListArray, Float32Array, Int64Array, LargeListArray,
    ListArray, UInt8Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type};
use datafusion::prelude::SessionContext;
use proptest::prelude::*;
use std::sync::Arc;

const FLOATS: [f32; 9] = [1.0, 2.0, 3.0, -1.0, 0.5, 0.0, 0.0, 0.0, 0.0];

fn fixed(components: ArrayRef, length: i32, nulls: Option<Vec<bool>>) -> (Field, ArrayRef) {
    let item = Arc::new(Field::new_list_field(components.data_type().clone(), true));
    let list = FixedSizeListArray::new(item, length, components, nulls.map(NullBuffer::from));
    (Field::new("v", arrow::array::Array::data_type(&list).clone(), true), Arc::new(list))
}

/// Table `t`: ids 0 to 2 and one vector each, of the given element type.
fn table(data_type: &DataType) -> SessionContext {
    let session = session();
    let floats: ArrayRef = Arc::new(Float32Array::from_iter_values(FLOATS.map(f32::trunc)));
    let (field, list) = fixed(cast(&floats, data_type).unwrap(), 3, None);
    let id = (Field::new("id", DataType::Int64, false), Arc::new(Int64Array::from_iter_values(0..3)) as _);
    register(&session, "t", vec![id, (field, list)]);
    session
}

#[test]
fn every_function_has_the_values_of_its_definition() {
    let session = session();
    for (call, want) in [
        ("l2_distance([1, 2], [4, 6])", "5.0"),
        ("l1_distance([1, 2], [4, 6.5])", "7.5"),
        ("cosine_distance([1, 0], [0, 1])", "1.0"),
        ("cosine_distance([1, 0], [-1, 0])", "2.0"),
        ("cosine_distance([0, 0], [1, 0])", "1.0"),
        ("cosine_similarity([1, 0], [2, 0])", "1.0"),
        ("inner_product([1, 2], [3, 4])", "11.0"),
        ("negative_inner_product([1, 2], [3, 4])", "-11.0"),
        ("hamming_distance([1, 0, 1], [1, 1, 0])", "2.0"),
        ("jaccard_distance([1, 0, 1, 1], [1, 1, 0, 0])", "0.75"),
        ("hamming_distance(arrow_cast([255], 'List(UInt8)'), arrow_cast([15], 'List(UInt8)'))", "4.0"),
        ("hamming_distance(X'FF00', X'0F01')", "5.0"),
        ("jaccard_distance(X'F0', X'30')", "0.5"),
        ("vector_norm([3, 4])", "5.0"),
        ("vector_dims([3, 4, 5])", "3"),
        ("l2_normalize([3.0, 4.0])", "[0.6000000000000001, 0.8]"),
        ("l2_distance('[1, 2]', [4, 6])", "5.0"),
        ("l2_distance('[1,2]', '[4,6]')", "5.0"),
        ("l2_distance(NULL, [1.0])", "NULL"),
        ("l2_distance([1.0, NULL], [1.0, 2.0])", "NULL"),
        ("inner_product([0.0], [1.0])", "0.0"),
        ("inner_product([], [])", "0.0"),
    ] {
        assert_eq!(value(&session, &format!("SELECT {call}")), want, "{call}");
    }
}

#[test]
fn aliases_are_the_same_functions() {
    let session = session();
    for name in ["l2_distance", "array_distance", "list_distance"] {
        assert_eq!(value(&session, &format!("SELECT {name}([1.0, 2.0], [4.0, 6.0])")), "5.0", "{name}");
    }
    for name in ["inner_product", "array_inner_product", "list_inner_product", "dot_product"] {
        assert_eq!(value(&session, &format!("SELECT {name}([1.0, 2.0], [4.0, 6.0])")), "16.0", "{name}");
    }
    for name in ["array_cosine_distance", "list_cosine_distance", "cosine_distance"] {
        assert_eq!(value(&session, &format!("SELECT {name}([0.0], [6.0])")), "1.0", "{name}");
    }
}

#[test]
fn every_element_type_is_read_in_place() {
    for data_type in [
        DataType::Float16,
        DataType::Float32,
        DataType::Float64,
        DataType::Int8,
        DataType::Int32,
        DataType::Int64,
    ] {
        let session = table(&data_type);
        let got = rows(&session, "SELECT id, l2_distance(v, [1, 2, 3]) FROM t ORDER BY 2, 1");
        assert_eq!(got[0], "0|0.0", "{data_type}");
        assert!(got[1].starts_with("2|3.741657386"), "{data_type}: {got:?}");
        assert!(got[2].starts_with("1|4.123105625"), "{data_type}: {got:?}");
        let flipped = rows(&session, "SELECT id, l2_distance([1, 2, 3], v) FROM t ORDER BY 2, 1");
        assert_eq!(got, flipped, "{data_type}");
        assert_eq!(rows(&session, "SELECT l1_distance(v, v) FROM t"), ["0.0"; 3], "{data_type}");
    }
}

#[test]
fn a_query_finer_than_an_integer_column_is_not_rounded() {
    let session = table(&DataType::Int8);
    assert_eq!(value(&session, "SELECT l1_distance(v, [1.25, 2, 3]) FROM t WHERE id = 0"), "0.25");
    assert_eq!(value(&session, "SELECT l1_distance(v, [1000, 2, 3]) FROM t WHERE id = 0"), "999.0");
}

#[test]
fn operators_follow_pgvector() {
    let session = table(&DataType::Float32);
    for (operator, function) in [
        ("<->", "l2_distance"),
        ("<#>", "negative_inner_product"),
        ("<=>", "cosine_distance"),
        ("<+>", "l1_distance"),
        ("<~>", "hamming_distance"),
        ("<%>", "jaccard_distance"),
    ] {
        let by_operator = rows(
            &session,
            &format!("SELECT id, v {operator} [3,2,1] FROM t ORDER BY v {operator} '[3,2,1]', id"),
        );
        let by_function = rows(&session, &format!("SELECT id, {function}(v, [3,2,1]) FROM t ORDER BY 2, 1"));
        assert_eq!(by_operator, by_function, "{operator}");
        let tight = rows(
            &session,
            &format!("SELECT id FROM t WHERE v{operator}[3,2,1] > 0 - 100 AND id < 9 ORDER BY id"),
        );
        assert_eq!(tight, ["0", "1", "2"], "{operator}");
    }
    assert_eq!(value(&session, "SELECT id <=> 1 FROM t WHERE id = 1"), "true");
    assert_eq!(value(&session, "SELECT NULL <=> NULL"), "true");
    assert_eq!(value(&session, "SELECT 1 <-1, 1 < +3, 3 % 2 > 0"), "false|true|true");
}

#[test]
fn nulls_and_slices_are_honoured() {
    let session = session();
    let floats: ArrayRef = Arc::new(Float32Array::from_iter_values((0..12).map(|i| i as f32)));
    let (field, list) = fixed(floats, 2, Some(vec![true, true, false, true, true, true]));
    register(&session, "t", vec![(field, list.slice(1, 4))]);
    assert_eq!(
        rows(&session, "SELECT l2_distance(v, [2, 3]) FROM t"),
        ["0.0", "NULL", "5.656854249492381", "8.48528137423857"][..]
            .iter()
            .map(|s| (*s).to_string())
            .collect::<Vec<_>>()
    );
    assert_eq!(rows(&session, "SELECT vector_dims(v) FROM t"), ["2", "NULL", "2", "2"]);
    assert_eq!(rows(&session, "SELECT l2_distance(v, v) FROM t"), ["0.0", "NULL", "0.0", "0.0"]);
}

#[test]
fn lists_are_vectors_too() {
    let session = session();
    let floats: ArrayRef = Arc::new(Float32Array::from(vec![9.0, 1.0, 2.0, 4.0, 6.0, 7.0]));
    let item = Arc::new(Field::new_list_field(DataType::Float32, true));
    let offsets = OffsetBuffer::new(vec![1, 3, 3, 5].into());
    let nulls = NullBuffer::from(vec![true, false, true]);
    let list = ListArray::new(Arc::clone(&item), offsets, Arc::clone(&floats), Some(nulls.clone()));
    let offsets = OffsetBuffer::new(vec![1i64, 3, 3, 5].into());
    let large = LargeListArray::new(item, offsets, floats, Some(nulls));
    let column = |array: ArrayRef, name: &str| (Field::new(name, array.data_type().clone(), true), array);
    register(&session, "t", vec![column(Arc::new(list), "v"), column(Arc::new(large), "w")]);
    assert_eq!(
        rows(&session, "SELECT l2_distance(v, [1, 2]), w <-> [1, 2] FROM t"),
        ["0.0|0.0", "NULL|NULL", "5.0|5.0"]
    );
    assert_eq!(rows(&session, "SELECT l2_distance(v, w) FROM t"), ["0.0", "NULL", "0.0"]);
}

#[test]
fn wrong_arguments_are_named() {
    let session = table(&DataType::Float32);
    for (sql, part) in [
        ("SELECT l2_distance(v, [1, 2]) FROM t", "same length, got 3 and 2"),
        ("SELECT v <=> '[1, 2, 3, 4]' FROM t", "same length, got 3 and 4"),
        ("SELECT l2_distance([1], [1, 2])", "same length, got 1 and 2"),
        ("SELECT l2_distance(v, [1, 2]) FROM t WHERE id > 99", "same length, got 3 and 2"),
        ("SELECT l2_distance(v, id) FROM t", "argument 2 is of type Int64"),
        ("SELECT l2_distance(v) FROM t", "2"),
        ("SELECT l2_distance(v, 'abc') FROM t", "'abc' is no vector"),
        ("SELECT l2_distance(v, '[1, x, 3]') FROM t", "'x' is not a number"),
    ] {
        let message = failure(&session, sql);
        assert!(message.contains(part), "{sql}: {message}");
    }
}

#[test]
fn packed_bits_of_every_form_agree() {
    let session = session();
    let bytes: ArrayRef = Arc::new(UInt8Array::from(vec![0xFF, 0x00, 0x0F, 0x01]));
    let (field, list) = fixed(bytes, 2, None);
    let binary = FixedSizeBinaryArray::try_from_iter([[0xFFu8, 0x00], [0x0F, 0x01]].iter()).unwrap();
    register(
        &session,
        "t",
        vec![(field, list), (Field::new("b", DataType::FixedSizeBinary(2), false), Arc::new(binary))],
    );
    assert_eq!(rows(&session, "SELECT v <~> [255, 1], b <~> X'FF01' FROM t"), ["1.0|1.0", "4.0|4.0"]);
}

#[test]
fn normalized_vectors_keep_their_type() {
    let session = table(&DataType::Float32);
    assert_eq!(
        value(&session, "SELECT arrow_typeof(l2_normalize(v)) = arrow_typeof(v) FROM t LIMIT 1"),
        "true"
    );
    assert_eq!(value(&session, "SELECT vector_norm(l2_normalize(v)) > 0.999999 FROM t LIMIT 1"), "true");
}

#[test]
fn builtins_are_replaced() {
    let session = session();
    let plan = value(
        &session,
        "EXPLAIN SELECT array_distance(v, [1.0]) FROM (SELECT [2.0] AS v UNION ALL SELECT [3.0])",
    );
    assert!(plan.contains("l2_distance"), "{plan}");
}

#[test]
fn parameters_are_vectors() {
    let session = table(&DataType::Float32);
    for sql in [
        "PREPARE p AS SELECT id FROM t ORDER BY v <=> $1, id LIMIT 1",
        "PREPARE q AS SELECT id FROM t ORDER BY l2_distance(v, $1), id LIMIT 1",
    ] {
        try_rows(&session, sql).unwrap();
    }
    assert_eq!(value(&session, "EXECUTE p([1.0, 2.0, 3.0])"), "0");
    assert_eq!(value(&session, "EXECUTE q([-1.0, 0.0, 0.0])"), "1");
}

fn definition(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    distance::<f32>(metric, a, b)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn sql_is_the_kernel_of_each_row(
        dim in 1usize..20,
        count in 0usize..30,
        nulls in prop::collection::vec(any::<bool>(), 30),
        seed in prop::collection::vec(-4i8..4, 620),
    ) {
        let session = session();
        let floats: Vec<f32> = seed[..dim * count].iter().map(|value| f32::from(*value)).collect();
        let query: Vec<f32> = seed[600..600 + dim].iter().map(|value| f32::from(*value)).collect();
        let components: ArrayRef = Arc::new(Float32Array::from(floats.clone()));
        let (field, list) = fixed(components, dim as i32, Some(nulls[..count].to_vec()));
        register(&session, "t", vec![(field, list)]);
        for (name, metric) in [("l2_distance", Metric::L2), ("cosine_distance", Metric::Cosine), ("l1_distance", Metric::L1)] {
            let batches = try_rows(&session, &format!("SELECT {name}(v, '{query:?}') FROM t")).unwrap();
            let got: Vec<Option<f64>> =
                batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Float64Type>().iter().collect::<Vec<_>>()).collect();
            let want: Vec<Option<f64>> = floats
                .chunks(dim)
                .zip(&nulls)
                .map(|(row, valid)| valid.then(|| definition(metric, &query, row)))
                .collect();
            prop_assert_eq!(got, want);
        }
    }
}

#[test]
fn an_integer_query_is_exact_or_refused() {
    assert_eq!(<i8 as Element>::query(127.0), Some(127));
    assert_eq!(<i8 as Element>::query(128.0), None);
    assert_eq!(<u8 as Element>::query(0.5), None);
}

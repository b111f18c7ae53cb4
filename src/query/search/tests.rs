//! Nearest rows against the plain plan and against brute force.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, Float32Array, Int64Array, RecordBatch,
};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::{DataType, Field, Float64Type, Int64Type};
use datafusion::arrow::util::pretty::pretty_format_batches;
use proptest::prelude::*;
use trilith_engine::Options as EngineOptions;

use crate::query::types::vector_field;
use crate::{Database, Options};

const DIM: usize = 3;

/// A database with small batches, so that few rows make many units.
fn database(partitions: usize) -> Database {
    let engine = EngineOptions { batch_rows: 8, background: false, ..EngineOptions::default() };
    let options = Options { threads: Some(partitions), ..Options::from(engine) };
    Database::open_blocking(":memory:", options).unwrap()
}

/// Rows `(id, kind, v)` with ids from `first` on; a vector that is `None` is null.
fn rows(first: i64, vectors: &[Option<[f32; DIM]>]) -> RecordBatch {
    let ids = Int64Array::from_iter_values((first..).take(vectors.len()));
    let kinds = Int64Array::from_iter_values((first..).take(vectors.len()).map(|id| id % 3));
    let values: Vec<f32> = vectors.iter().flat_map(|vector| vector.unwrap_or_default()).collect();
    let nulls: NullBuffer = vectors.iter().map(Option::is_some).collect::<Vec<_>>().into();
    let field = vector_field("v", DIM as i32);
    let DataType::FixedSizeList(item, _) = field.data_type().clone() else { unreachable!() };
    let list = FixedSizeListArray::new(item, DIM as i32, Arc::new(Float32Array::from(values)), Some(nulls));
    let columns: [(Field, ArrayRef); 3] = [
        (Field::new("id", DataType::Int64, false), Arc::new(ids)),
        (Field::new("kind", DataType::Int64, true), Arc::new(kinds)),
        (field, Arc::new(list)),
    ];
    let (fields, arrays): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    RecordBatch::try_new(Arc::new(datafusion::arrow::datatypes::Schema::new(fields)), arrays).unwrap()
}

fn filled(partitions: usize, vectors: &[Option<[f32; DIM]>], flushed: usize) -> Database {
    let db = database(partitions);
    db.sql_blocking("CREATE TABLE t (id BIGINT PRIMARY KEY, kind BIGINT, v VECTOR(3))").unwrap();
    let table = db.table("t").unwrap();
    let flushed = flushed.min(vectors.len());
    table.append([rows(0, &vectors[..flushed])]).unwrap();
    db.engine().flush().unwrap();
    table.append([rows(flushed as i64, &vectors[flushed..])]).unwrap();
    db
}

fn ids(db: &Database, sql: &str) -> Vec<i64> {
    let batches = db.sql_blocking(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect()
}

fn explain(db: &Database, sql: &str) -> String {
    pretty_format_batches(&db.sql_blocking(&format!("EXPLAIN {sql}")).unwrap()).unwrap().to_string()
}

fn spiral(count: usize) -> Vec<Option<[f32; DIM]>> {
    (0..count).map(|i| (i % 7 != 3).then(|| [(i * 37 % 101) as f32, (i * 11 % 17) as f32, 1.0])).collect()
}

#[test]
fn order_by_distance_is_a_search() {
    let db = filled(2, &spiral(100), 60);
    for sql in [
        "SELECT id FROM t ORDER BY l2_distance(v, [1, 2, 3]) LIMIT 5",
        "SELECT id, v <-> '[1,2,3]' AS d FROM t ORDER BY d LIMIT 5",
        "SELECT id, kind + 1 AS k FROM t WHERE kind = 1 ORDER BY v <=> [1, 2, 3] LIMIT 5",
        "SELECT * FROM (SELECT id, cosine_distance([1, 2, 3], v) AS d, kind FROM t WHERE kind > 0) WHERE id < 70 ORDER BY d LIMIT 5 OFFSET 2",
        "SELECT id FROM t WHERE v IS NOT NULL ORDER BY inner_product(v, [1, 2, 3]) DESC LIMIT 5",
        "SELECT id FROM t ORDER BY cosine_similarity(v, [1, 2, 3]) DESC LIMIT 5",
        "SELECT id FROM t ORDER BY v <-> (SELECT v FROM t WHERE id = 7) LIMIT 5",
        "SELECT id FROM vector_search('t', 'v', [1, 2, 3], 5)",
        "SELECT id FROM vector_search('t', 'v', [1, 2, 3], k => 5, metric => 'l2') WHERE kind = 1",
    ] {
        let plan = explain(&db, sql);
        assert!(plan.contains("KnnExec: table=t, column=v"), "{sql}\n{plan}");
        assert!(!plan.contains("SortExec"), "{sql}\n{plan}");
    }
    for sql in [
        "SELECT id FROM t ORDER BY l2_distance(v, [1, 2, 3])",
        "SELECT id FROM t ORDER BY l2_distance(v, [1, 2, 3]) DESC LIMIT 5",
        "SELECT id FROM t ORDER BY cosine_similarity(v, [1, 2, 3]) LIMIT 5",
        "SELECT id FROM t ORDER BY l2_distance(v, v) LIMIT 5",
        "SELECT max(id) FROM t GROUP BY v ORDER BY l2_distance(v, [1, 2, 3]) LIMIT 5",
    ] {
        let plan = explain(&db, sql);
        assert!(!plan.contains("KnnExec"), "{sql}\n{plan}");
    }
}

#[test]
fn vector_search_gives_columns_and_distance_in_order() {
    let db = filled(2, &spiral(100), 60);
    let batches = db.sql_blocking("SELECT * FROM vector_search('t', 'v', [5, 5, 5], 7, 'l2')").unwrap();
    let found = datafusion::arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap();
    let names: Vec<String> = found.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["id", "kind", "v", "_distance"]);
    assert_eq!(found.num_rows(), 7);
    let distances = found.column(3).as_primitive::<Float64Type>();
    assert!(distances.values().is_sorted());
    assert_eq!(distances.null_count(), 0);
    let plain = "SELECT id FROM t WHERE v IS NOT NULL ORDER BY l2_distance(v, [5, 5, 5]) + 0, id LIMIT 7";
    let mut want = ids(&db, plain);
    let mut got: Vec<i64> = found.column(0).as_primitive::<Int64Type>().values().to_vec();
    want.sort_unstable();
    got.sort_unstable();
    assert_eq!(got, want);
}

#[test]
fn conditions_hold_before_the_nearest_are_chosen() {
    let db = filled(2, &spiral(100), 60);
    let found = ids(&db, "SELECT id FROM vector_search('t', 'v', [5, 5, 5], 6) WHERE kind = 2");
    assert_eq!(found.len(), 6);
    assert!(found.iter().all(|id| id % 3 == 2), "{found:?}");
    let joined = ids(
        &db,
        "SELECT s.id FROM (VALUES (2)) AS k(kind) JOIN vector_search('t', 'v', [5, 5, 5], 100) s ON s.kind = k.kind WHERE s._distance < 2",
    );
    assert!(!joined.is_empty());
    let near = ids(&db, "SELECT id FROM vector_search('t', 'v', [5, 5, 5], 6) WHERE _distance < -1");
    assert_eq!(near, Vec::<i64>::new());
}

#[test]
fn parameters_are_queries() {
    let db = filled(1, &spiral(30), 10);
    let query = datafusion::scalar::ScalarValue::List(Arc::new(
        datafusion::arrow::array::ListArray::from_iter_primitive::<Float64Type, _, _>([Some(
            [Some(5.0); DIM],
        )]),
    ));
    let want = ids(&db, "SELECT id FROM t ORDER BY l2_distance(v, [5, 5, 5]) LIMIT 4");
    for sql in [
        "SELECT id FROM t ORDER BY l2_distance(v, $1) LIMIT 4",
        "SELECT id FROM vector_search('t', 'v', $1, 4, 'l2')",
    ] {
        let batches = db.query(sql).params(vec![query.clone()]).collect_blocking().unwrap();
        let got: Vec<i64> = batches
            .iter()
            .flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec())
            .collect();
        assert_eq!(got, want, "{sql}");
    }
}

#[test]
fn wrong_calls_are_named() {
    let db = filled(1, &spiral(3), 3);
    for (sql, part) in [
        ("SELECT * FROM vector_search('u', 'v', [1, 2, 3], 4)", "\"u\" does not exist"),
        ("SELECT * FROM vector_search('t', 'w', [1, 2, 3], 4)", "\"t.w\" does not exist"),
        ("SELECT * FROM vector_search('t', 'id', [1, 2, 3], 4)", "not vectors"),
        ("SELECT * FROM vector_search('t', 'v', [1, 2], 4)", "same length, got 3 and 2"),
        ("SELECT * FROM vector_search('t', 'v', [1, 2, 3], 0)", "above 0"),
        ("SELECT * FROM vector_search('t', 'v', [1, 2, 3], 1, 'far')", "unknown distance metric 'far'"),
        (
            "SELECT * FROM vector_search('t', 'v', [1, 2, 3], q => 1)",
            "there are table, column, query, k, metric, recall",
        ),
        ("SELECT * FROM vector_search('t', 'v', [1, 2, 3], 4, k => 1)", "k is given twice"),
        ("SELECT * FROM vector_search('t', 'v', $1, 4)", "must be a constant or a parameter"),
        ("SELECT * FROM vector_search('t')", "got 1 argument"),
        ("SELECT id FROM t ORDER BY l2_distance(v, [1, 2]) LIMIT 1", "same length, got 3 and 2"),
    ] {
        let error = db.sql_blocking(sql).unwrap_err().to_string();
        assert!(error.contains(part), "{sql}: {error}");
    }
}

#[test]
fn the_query_may_be_a_row_of_the_table() {
    let db = filled(2, &spiral(100), 60);
    let near = |id: i64| format!("SELECT id FROM t ORDER BY v <-> (SELECT v FROM t WHERE id = {id}) LIMIT 3");
    assert_eq!(ids(&db, &near(7))[0], 7);
    // Row 3 has no vector, row 1000 is none: then no row is nearer than another.
    assert_eq!(ids(&db, &near(3)), [0, 1, 2]);
    assert_eq!(ids(&db, &near(1000)), [0, 1, 2]);
}

#[test]
fn newer_rows_count_and_older_ones_do_not_come_back() {
    let db = filled(2, &spiral(40), 40);
    let nearest = "SELECT id FROM t WHERE kind < 9 ORDER BY v <-> [5, 5, 5] LIMIT 1";
    let first = ids(&db, nearest)[0];
    db.sql_blocking(&format!("UPDATE t SET kind = 9 WHERE id = {first}")).unwrap();
    let second = ids(&db, nearest)[0];
    assert_ne!(first, second);
    db.sql_blocking(&format!("DELETE FROM t WHERE id = {second}")).unwrap();
    assert!(![first, second].contains(&ids(&db, nearest)[0]));
    db.sql_blocking("INSERT INTO t VALUES (1000, 0, '[5, 5, 5]')").unwrap();
    assert_eq!(ids(&db, nearest), [1000]);
}

fn vector() -> impl Strategy<Value = Option<[f32; DIM]>> {
    prop::option::weighted(0.9, prop::array::uniform3((-3i8..3).prop_map(f32::from)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_search_is_what_sorting_everything_gives(
        vectors in prop::collection::vec(vector(), 0..60),
        flushed in 0usize..60,
        deleted in prop::collection::vec(0i64..60, 0..10),
        k in 1usize..70,
        partitions in 1usize..4,
        (metric, descending) in prop::sample::select(vec![
            ("l2_distance", false), ("cosine_distance", false), ("l1_distance", false),
            ("inner_product", true), ("negative_inner_product", false), ("cosine_similarity", true),
        ]),
        condition in prop::sample::select(vec!["true", "kind = 1", "id % 2 = 0 AND kind > 0", "v IS NOT NULL", "id < 0"]),
    ) {
        let db = filled(partitions, &vectors, flushed);
        for id in &deleted {
            db.sql_blocking(&format!("DELETE FROM t WHERE id = {id}")).unwrap();
        }
        let order = if descending { "DESC" } else { "ASC" };
        let select = format!("SELECT {metric}(v, [1, 2, -1]) AS d, id FROM t WHERE {condition}");
        let search = format!("{select} ORDER BY d {order} LIMIT {k}");
        prop_assert!(explain(&db, &search).contains("KnnExec") || vectors.is_empty() || condition == "id < 0");
        let searched = distances(&db, &search);
        let sorted = distances(&db, &format!("SELECT d, id FROM ({select} ORDER BY id) ORDER BY d + 0 {order}, id"));
        let want: Vec<_> = sorted.iter().take(k).map(|(distance, _)| *distance).collect();
        prop_assert_eq!(searched.iter().map(|(distance, _)| *distance).collect::<Vec<_>>(), want);
        for row in &searched {
            prop_assert!(sorted.contains(row), "{:?} is no row", row);
        }
    }
}

/// The bits of each distance, which tell NaN and NULL apart, with the row's id.
fn distances(db: &Database, sql: &str) -> Vec<(Option<u64>, i64)> {
    let batches = db.sql_blocking(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let of_batch = |batch: &RecordBatch| {
        let distances = batch.column(0).as_primitive::<Float64Type>().clone();
        let ids = batch.column(1).as_primitive::<Int64Type>().clone();
        (0..ids.len())
            .map(|row| {
                (distances.is_valid(row).then(|| (distances.value(row) + 0.0).to_bits()), ids.value(row))
            })
            .collect::<Vec<_>>()
    };
    batches.iter().flat_map(of_batch).collect()
}

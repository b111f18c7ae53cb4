//! Searches by sparse vectors against going through all rows, over whatever files they are in.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::path::Path;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::{Float64Type, Int64Type};
use proptest::prelude::*;
use trilith_engine::Options as EngineOptions;

use crate::{Database, Options};

type Vector = BTreeMap<u32, f32>;
type Model = BTreeMap<i64, Option<Vector>>;

fn database() -> Database {
    let engine = EngineOptions { batch_rows: 24, background: false, ..EngineOptions::default() };
    let options = Options { threads: Some(2), ..Options::from(engine) };
    let db = Database::open_blocking(Path::new(":memory:"), options).unwrap();
    db.sql_blocking("CREATE TABLE t (id BIGINT PRIMARY KEY, kind BIGINT, v SPARSEVEC)").unwrap();
    db
}

fn text(vector: &Vector) -> String {
    let pairs: Vec<String> = vector.iter().map(|(index, value)| format!("{index}:{value:?}")).collect();
    format!("'{{{}}}'", pairs.join(", "))
}

fn upsert(db: &Database, model: &mut Model, rows: Vec<(i64, Option<Vector>)>) {
    let value = |(id, vector): &(i64, Option<Vector>)| {
        format!("({id}, {}, {})", id % 3, vector.as_ref().map_or("NULL".into(), text))
    };
    let values: Vec<String> = rows.iter().map(value).collect();
    let sql = format!("INSERT OR REPLACE INTO t VALUES {}", values.join(", "));
    db.sql_blocking(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    model.extend(rows);
}

fn found(db: &Database, query: &Vector, k: usize, condition: &str) -> Vec<(i64, f64)> {
    let sql = format!("SELECT id, _score FROM sparse_search('t', 'v', {}, {k}) {condition}", text(query));
    let batches = db.sql_blocking(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let mut rows = vec![];
    for batch in &batches {
        let (ids, scores) =
            (batch.column(0).as_primitive::<Int64Type>(), batch.column(1).as_primitive::<Float64Type>());
        rows.extend(ids.values().iter().copied().zip(scores.values().iter().copied()));
    }
    rows
}

/// All rows that share an index with the query, by falling product.
fn naive(model: &Model, query: &Vector, passes: impl Fn(i64) -> bool) -> Vec<(i64, f64)> {
    let score = |vector: &Vector| {
        let common = vector.iter().filter_map(|(index, value)| {
            let weight = query.get(index).filter(|weight| **weight != 0.0)?;
            Some(f64::from(*weight) * f64::from(*value))
        });
        let products: Vec<f64> = common.collect();
        (!products.is_empty()).then(|| products.iter().sum())
    };
    let rows = model.iter().filter(|(id, _)| passes(**id));
    let mut rows: Vec<(i64, f64)> =
        rows.filter_map(|(id, vector)| Some((*id, score(vector.as_ref()?)?))).collect();
    rows.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    rows
}

fn vectors(negative: bool) -> impl Strategy<Value = Vector> {
    let least = if negative { -2.0_f32 } else { 0.0 };
    let index = prop_oneof![4 => 0..12_u32, 1 => Just(3_000_000_000_u32)];
    prop::collection::btree_map(index, least..3.0_f32, 0..8)
}

fn check(db: &Database, model: &Model, query: &Vector) {
    let all = naive(model, query, |_| true);
    let some = naive(model, query, |id| id % 3 == 1 && id < 60);
    for (condition, expected) in [("", &all), ("WHERE kind = 1 AND id < 60", &some)] {
        for k in [1, 3, 1000] {
            let got = found(db, query, k, condition);
            let scores = |rows: &[(i64, f64)]| rows.iter().map(|(_, score)| *score).collect::<Vec<_>>();
            assert_eq!(scores(&got), scores(&expected[..k.min(expected.len())]), "{query:?} {condition} {k}");
            let known: BTreeMap<i64, f64> = expected.iter().copied().collect();
            assert!(got.iter().all(|(id, score)| known.get(id) == Some(score)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_search_finds_what_going_through_all_rows_finds(
        negative in any::<bool>(),
        seeds in prop::collection::vec(
            (prop::collection::btree_map(0..200_i64, prop::option::weighted(0.9, vectors(true)), 1..120), any::<bool>()), 1..4),
        query in vectors(true),
        deleted in 0..200_i64,
    ) {
        let positive = |vector: Vector| -> Vector {
            if negative { vector } else { vector.into_iter().map(|(index, value)| (index, value.abs())).collect() }
        };
        let (db, mut model) = (database(), Model::new());
        let query = positive(query);
        for (rows, flush) in seeds {
            upsert(&db, &mut model, rows.into_iter().map(|(id, vector)| (id, vector.map(positive))).collect());
            check(&db, &model, &query);
            if flush {
                db.engine().flush().unwrap();
                check(&db, &model, &query);
            }
        }
        model.retain(|id, _| *id > deleted);
        db.sql_blocking(&format!("DELETE FROM t WHERE id <= {deleted}")).unwrap();
        check(&db, &model, &query);
        db.sql_blocking("VACUUM").unwrap();
        check(&db, &model, &query);
    }
}

#[test]
fn most_rows_of_a_file_are_never_compared() {
    let (db, mut model) = (database(), Model::new());
    let vector = |id: i64| Vector::from([(1, 0.1), (2 + (id % 7) as u32, 0.5), (50, id as f32 / 1000.0)]);
    upsert(&db, &mut model, (0..2000).map(|id| (id, Some(vector(id)))).collect());
    db.engine().flush().unwrap();
    let query = Vector::from([(1, 1.0), (50, 10.0)]);
    check(&db, &model, &query);
    let sql = format!("EXPLAIN ANALYZE SELECT id FROM sparse_search('t', 'v', {}, 5)", text(&query));
    let plan = db.sql_blocking(&sql).unwrap();
    let plan = datafusion::arrow::util::pretty::pretty_format_batches(&plan).unwrap().to_string();
    let compared = plan.split("rows_compared=").nth(1).unwrap();
    let compared: usize = compared.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap();
    assert!(compared < 40, "{plan}");
}

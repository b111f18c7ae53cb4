//! Searches by late interaction against a plain scorer in `f64`, over whatever files the rows are in.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::Path;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{Float64Type, Int64Type};
use proptest::prelude::*;
use trilith_engine::Options as EngineOptions;

use crate::{Database, Options};

type Vector = [i8; 3];
/// A row is null, or a list of vectors of which some are null.
type Document = Option<Vec<Option<Vector>>>;

fn database() -> Database {
    let engine = EngineOptions { batch_rows: 8, background: false, ..EngineOptions::default() };
    let options = Options { threads: Some(2), ..Options::from(engine) };
    let db = Database::open_blocking(Path::new(":memory:"), options).unwrap();
    db.sql_blocking("CREATE TABLE t (id BIGINT PRIMARY KEY, kind BIGINT, v VECTOR(3)[])").unwrap();
    db
}

fn text(document: &Document) -> String {
    let vector = |vector: &Option<Vector>| vector.map_or("NULL".to_owned(), |vector| format!("{vector:?}"));
    match document {
        // A list of nulls alone has no type that is a list of vectors.
        Some(vectors) if vectors.iter().any(Option::is_some) => {
            format!("[{}]", vectors.iter().map(vector).collect::<Vec<_>>().join(", "))
        }
        Some(_) => "arrow_cast([], 'List(FixedSizeList(3 x Float32))')".to_owned(),
        None => "NULL".to_owned(),
    }
}

fn upsert(db: &Database, model: &mut BTreeMap<i64, Document>, rows: Vec<(i64, Document)>) {
    for (id, document) in rows {
        let values = format!("({id}, {}, {})", id % 3, text(&document));
        let update = "ON CONFLICT (id) DO UPDATE SET v = excluded.v";
        db.sql_blocking(&format!("INSERT INTO t VALUES {values} {update}")).unwrap();
        model.insert(id, document);
    }
}

fn similarity(a: &Vector, b: &Vector, metric: &str) -> f64 {
    let product =
        |a: &Vector, b: &Vector| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    match metric {
        "cosine" if product(a, a) * product(b, b) == 0.0 => 0.0,
        "cosine" => product(a, b) / (product(a, a) * product(b, b)).sqrt(),
        _ => product(a, b),
    }
}

fn score(document: &Document, query: &[Vector], metric: &str) -> Option<f64> {
    let vectors: Vec<&Vector> = document.iter().flatten().flatten().collect();
    let greatest = |query| vectors.iter().map(|vector| similarity(query, vector, metric)).reduce(f64::max);
    query.iter().map(greatest).sum()
}

/// Ids and scores, by `id`, that a statement gives.
fn scored(db: &Database, sql: &str) -> Vec<(i64, Option<f64>)> {
    let batches = db.sql_blocking(sql).unwrap();
    let of_batch = |batch: &datafusion::arrow::array::RecordBatch| {
        let ids = batch.column(0).as_primitive::<Int64Type>().clone();
        let scores = batch.column(1).as_primitive::<Float64Type>().clone();
        (0..ids.len())
            .map(move |row| (ids.value(row), scores.is_valid(row).then(|| scores.value(row))))
            .collect::<Vec<_>>()
    };
    batches.iter().flat_map(of_batch).collect()
}

fn check(db: &Database, model: &BTreeMap<i64, Document>, query: &[Vector], (k, metric): (usize, &str)) {
    let literal = format!("{query:?}");
    let all = scored(db, &format!("SELECT id, max_sim(v, {literal}, '{metric}') FROM t ORDER BY id"));
    assert_eq!(all.len(), model.len());
    for ((id, got), (want_id, document)) in all.iter().zip(model) {
        let want = score(document, query, metric);
        assert_eq!((id, got.is_some()), (want_id, want.is_some()), "{document:?}");
        assert!(
            got.zip(want).is_none_or(|(got, want)| (got - want).abs() < 1e-4),
            "{document:?}: {got:?}, {want:?}"
        );
    }
    for (condition, holds) in [("true", (|_| true) as fn(i64) -> bool), ("kind = 1", |id| id % 3 == 1)] {
        let sql = format!(
            "SELECT id, _score FROM multivector_search('t', 'v', {literal}, {k}, '{metric}') WHERE {condition} ORDER BY _score DESC"
        );
        let found = scored(db, &sql);
        let wanted = model.iter().filter(|(id, _)| holds(**id));
        let mut want: Vec<f64> = wanted.filter_map(|(_, document)| score(document, query, metric)).collect();
        want.sort_by(|a, b| b.total_cmp(a));
        want.truncate(k);
        assert_eq!(found.len(), want.len(), "{sql}");
        for ((id, got), want) in found.iter().zip(want) {
            assert!((got.unwrap() - want).abs() < 1e-4, "{sql}: {found:?}");
            assert!(holds(*id) && (score(&model[id], query, metric).unwrap() - want).abs() < 1e-4);
        }
    }
}

fn vector() -> impl Strategy<Value = Vector> {
    prop::array::uniform3(-3..4_i8)
}

fn document() -> impl Strategy<Value = Document> {
    let vectors = prop::collection::vec(prop::option::weighted(0.9, vector()), 0..7);
    prop::option::weighted(0.9, vectors)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn the_best_rows_are_those_of_a_plain_scorer(
        seeds in prop::collection::vec((prop::collection::vec((0..30_i64, document()), 0..20), any::<bool>()), 1..4),
        query in prop::collection::vec(vector(), 1..40),
        deleted in 0..20_i64,
        k in 1..12_usize,
        metric in prop::sample::select(vec!["cosine", "inner_product"]),
    ) {
        let (db, mut model) = (database(), BTreeMap::new());
        for (rows, flush) in seeds {
            upsert(&db, &mut model, rows);
            if flush {
                db.engine().flush().unwrap();
            }
        }
        check(&db, &model, &query, (k, metric));
        model.retain(|id, _| *id > deleted);
        db.sql_blocking(&format!("DELETE FROM t WHERE id <= {deleted}")).unwrap();
        check(&db, &model, &query, (k, metric));
        db.sql_blocking("VACUUM").unwrap();
        check(&db, &model, &query, (k, metric));
    }
}

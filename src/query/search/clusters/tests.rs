//! Clusters that are known are found again, and what a call gives agrees with itself.
#![expect(clippy::unwrap_used, reason = "tests")]

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{Float32Type, Float64Type, Int64Type};

use crate::Database;

fn answer(db: &Database, sql: &str) -> RecordBatch {
    let batches = db.sql_blocking(sql).unwrap();
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

fn numbers(rows: &RecordBatch, column: usize) -> Vec<Option<i64>> {
    rows.column(column).as_primitive::<Int64Type>().iter().collect()
}

/// Rows around five corners by turns; every eleventh has no vector.
fn corners(count: i64) -> Database {
    let db = Database::in_memory().unwrap();
    db.sql_blocking("CREATE TABLE t (id BIGINT PRIMARY KEY, note TEXT, v VECTOR(3))").unwrap();
    let row = |id: i64| {
        let near = |at: i64| ((id * 37 + at * 11) % 10) as f64 / 50.0;
        let corner = [[9, 0, 0], [0, 9, 0], [0, 0, 9], [-9, -9, 0], [0, -9, -9]][(id % 5) as usize];
        let vector: Vec<String> =
            (0..3).map(|at| format!("{}", f64::from(corner[at]) + near(at as i64))).collect();
        let vector = if id % 11 == 0 { "NULL".to_owned() } else { format!("'[{}]'", vector.join(",")) };
        format!("({id}, 'n{id}', {vector})")
    };
    let rows: Vec<String> = (0..count).map(row).collect();
    db.sql_blocking(&format!("INSERT INTO t VALUES {}", rows.join(", "))).unwrap();
    db
}

#[test]
fn known_clusters_are_found_by_both_metrics_and_any_seed() {
    let db = corners(220);
    for flushed in [false, true] {
        if flushed {
            db.engine().flush().unwrap();
        }
        for call in ["5", "5, seed => 7", "5, metric => 'cosine'", "5, sample => 60, seed => 3"] {
            let rows = answer(
                &db,
                &format!("SELECT id, _cluster, _distance FROM kmeans('t', 'v', k => {call}) ORDER BY id"),
            );
            let clusters = numbers(&rows, 1);
            assert_eq!(clusters.len(), 220);
            assert!((0..220).all(|id| clusters[id].is_none() == (id % 11 == 0)), "{call}");
            for id in (0..220).filter(|id| id % 11 != 0) {
                assert_eq!(
                    clusters[id],
                    clusters[id % 5 + if id % 5 == 0 { 5 } else { 0 }],
                    "{call}: row {id}"
                );
            }
            let mut different: Vec<_> = clusters.iter().flatten().collect();
            different.sort_unstable();
            different.dedup();
            assert_eq!(different, [&0, &1, &2, &3, &4], "{call}");
            let distances = rows.column(2).as_primitive::<Float64Type>();
            assert!(distances.iter().flatten().all(|distance| (0.0..0.5).contains(&distance)));
        }
    }
}

#[test]
fn centroids_are_the_means_of_their_rows() {
    let db = corners(150);
    let clusters =
        answer(&db, "SELECT cluster, centroid, rows FROM kmeans_centroids('t', k => 5) ORDER BY cluster");
    let counted = answer(
        &db,
        "SELECT _cluster, count(*) FROM kmeans('t', k => 5) WHERE _cluster IS NOT NULL GROUP BY 1 ORDER BY 1",
    );
    assert_eq!(numbers(&clusters, 0), numbers(&counted, 0));
    assert_eq!(numbers(&clusters, 2), numbers(&counted, 1));
    let rows = answer(&db, "SELECT _cluster, v FROM kmeans('t', k => 5) WHERE _cluster = 2");
    let vectors = rows.column(1).as_fixed_size_list().values().as_primitive::<Float32Type>().clone();
    let centroid = clusters.column(1).as_fixed_size_list().value(2);
    for (at, component) in centroid.as_primitive::<Float32Type>().values().iter().enumerate() {
        let sum: f64 = vectors.values().iter().skip(at).step_by(3).map(|value| f64::from(*value)).sum();
        assert!((sum / rows.num_rows() as f64 - f64::from(*component)).abs() < 1e-5);
    }
    let again = "SELECT id, _cluster FROM kmeans('t', k => 4, seed => 12) ORDER BY id";
    assert_eq!(answer(&db, again), answer(&db, again));
}

#[test]
fn wrong_calls_are_named() {
    let db = corners(30);
    for (call, part) in [
        ("kmeans('t', k => 0)", "k must be a whole number above 0"),
        ("kmeans('t', k => 28)", "k is 28, but only 27 rows have a vector"),
        ("kmeans('t', 'note', 3)", "not vectors"),
        ("kmeans('t', k => 3, metric => 'l1')", "the metric must be 'l2' or 'cosine'"),
        ("kmeans('t', k => 3, seed => -1)", "seed must be a whole number not below 0"),
        ("kmeans('t')", "k"),
        ("kmeans_centroids('t', k => 3, sample => 0)", "sample must be a whole number above 0"),
    ] {
        let error = db.sql_blocking(&format!("SELECT * FROM {call}")).unwrap_err().to_string();
        assert!(error.contains(part), "{call}: {error}");
    }
    db.sql_blocking("CREATE TABLE u (_cluster BIGINT PRIMARY KEY, v VECTOR(2))").unwrap();
    let error = db.sql_blocking("SELECT * FROM kmeans('u', k => 1)").unwrap_err().to_string();
    assert!(error.contains("\"_cluster\" of its own"), "{error}");
}

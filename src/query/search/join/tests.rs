//! Nearest joins against a cross join and a window over it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::pretty::pretty_format_batches;
use proptest::prelude::*;
use trilith_engine::Options as EngineOptions;

use crate::{Database, Options};

fn database() -> Database {
    let engine = EngineOptions { batch_rows: 8, background: false, ..EngineOptions::default() };
    let options = Options { threads: Some(2), ..Options::from(engine) };
    let db = Database::open_blocking(":memory:", options).unwrap();
    for table in ["a", "b"] {
        db.sql_blocking(&format!("CREATE TABLE {table} (id BIGINT PRIMARY KEY, kind BIGINT, v VECTOR(2))"))
            .unwrap();
    }
    db
}

fn insert(db: &Database, table: &str, vectors: &[Option<(i8, i8)>]) {
    let row = |(id, vector): (usize, &Option<(i8, i8)>)| {
        let vector = vector.map_or_else(|| "NULL".into(), |(x, y)| format!("[{x}, {y}.5]"));
        format!("({id}, {}, {vector})", id % 3)
    };
    let rows: Vec<String> = vectors.iter().enumerate().map(row).collect();
    db.sql_blocking(&format!("INSERT INTO {table} VALUES {}", rows.join(", "))).unwrap();
}

fn text(db: &Database, sql: &str) -> String {
    let rows = db.sql_blocking(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let rows: Vec<RecordBatch> = rows.into_iter().filter(|batch| batch.num_rows() > 0).collect();
    pretty_format_batches(&rows).unwrap().to_string()
}

/// What a join of `a` with rows `right` gives, by the distances themselves.
fn plain(right: &str, k: usize, function: &str, order: &str) -> String {
    format!(
        "SELECT x, y, d FROM (SELECT a.id AS x, b.id AS y, {function}(a.v, b.v) AS d, row_number() OVER \
         (PARTITION BY a.id ORDER BY {function}(a.v, b.v) {order}, b.id) AS place FROM a CROSS JOIN {right} \
         WHERE a.v IS NOT NULL AND b.v IS NOT NULL) WHERE place <= {k} ORDER BY x, d, y"
    )
}

fn vectors(most: usize) -> impl Strategy<Value = Vec<Option<(i8, i8)>>> {
    let vector = (-9..9_i8, -9..9_i8);
    prop::collection::vec(prop::option::weighted(0.9, vector), 1..most)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_nearest_join_is_the_first_of_all_pairs(
        (lefts, rights) in (vectors(12), vectors(60)),
        k in 1..6_usize,
        (flushed, deleted) in (any::<bool>(), any::<bool>()),
    ) {
        let db = database();
        insert(&db, "a", &lefts);
        insert(&db, "b", &rights);
        if flushed {
            db.engine().flush().unwrap();
        }
        if deleted {
            db.sql_blocking("DELETE FROM b WHERE id % 4 = 1").unwrap();
        }
        let joins = [("l2_distance", "DISTANCE", "ASC"), ("inner_product", "SIMILARITY", "DESC")];
        let sides = ["b", "(SELECT * FROM b WHERE kind = 1) b", "(SELECT id, v FROM b UNION ALL SELECT id, v FROM b WHERE false) b"];
        for ((function, by, order), right) in joins.into_iter().flat_map(|join| sides.map(|side| (join, side))) {
            let join = format!(
                "SELECT a.id AS x, b.id AS y, {function}(a.v, b.v) AS d FROM a JOIN {right} \
                 EXACT NEAREST {k} BY {by} {function}(a.v, b.v) ORDER BY x, d, y"
            );
            prop_assert_eq!(text(&db, &join), text(&db, &plain(right, k, function, order)), "{}", join);
        }
    }
}

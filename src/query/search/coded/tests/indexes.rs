//! Indexes that statements name: whatever is kept beside the vectors, searches find what they are asked for.

use super::*;

const KINDS: [&str; 5] = [
    "flat (v)",
    "rabitq (v) WITH (recall = 1)",
    "ivf (v) WITH (recall = 1, lists = 40)",
    "graph (v) WITH (recall = 1)",
    "hnsw (v vector_l2_ops) WITH (recall = 1, m = 8, ef_construction = 64)",
];

/// What is kept may be wasteful, never wrong: with a recall of 1, results are those of sorting all rows.
#[test]
fn searches_are_exact_with_an_index_of_each_kind_under_churn() {
    for (seed, kind) in (0..).zip(KINDS) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let db = open(":memory:");
        let table = db.table("t").unwrap();
        table.append([rows(&mut rng, 0..2500)]).unwrap();
        db.sql_blocking(&format!("CREATE INDEX ON t USING {kind}")).unwrap();
        check(&db, seed);
        table.upsert([rows(&mut rng, (0..2500).step_by(3))]).unwrap();
        db.sql_blocking("DELETE FROM t WHERE id % 7 = 3").unwrap();
        check(&db, seed + 10);
        table.append([rows(&mut rng, 2500..4000)]).unwrap();
        db.engine().flush().unwrap();
        db.engine().compact().unwrap();
        table.upsert([rows(&mut rng, 3000..3100)]).unwrap();
        check(&db, seed + 20);
    }
}

/// What is done to the rows between searches.
type Step<'a> = &'a dyn Fn(&mut SmallRng);

#[test]
fn a_walk_finds_its_share_under_every_condition_and_churn() {
    let mut rng = SmallRng::seed_from_u64(61);
    let db = open(":memory:");
    let table = db.table("t").unwrap();
    table.append([rows(&mut rng, 0..6000)]).unwrap();
    let statement = "CREATE INDEX walk ON t USING hnsw (v vector_cosine_ops)";
    db.sql_blocking(statement).unwrap();
    let plan = |metric: &str, more: &str| {
        let query = query(3);
        let sql = format!(
            "EXPLAIN ANALYZE SELECT id FROM vector_search('t', 'v', '{query}', 10, '{metric}' {more})"
        );
        pretty_format_batches(&db.sql_blocking(&sql).unwrap()).unwrap().to_string()
    };
    // A search that says nothing is held to what the index says; one by another metric is exact.
    assert!(plan("cosine", "").contains("strategy=codes, recall=0.98"), "{}", plan("cosine", ""));
    assert!(plan("l2", "").contains("strategy=exact"), "{}", plan("l2", ""));
    assert!(plan("cosine", ", recall => 1").contains("strategy=exact"));
    assert!((10..2048).contains(&count(&plan("cosine", ""), "rows_walked")), "{}", plan("cosine", ""));
    assert_eq!(count(&plan("cosine", ", ef_search => 77"), "rows_walked"), 77);
    assert_eq!(count(&plan("cosine", ", nprobe => 5"), "lists_read"), 5);
    assert!(count(&plan("cosine", ", rescore => 12"), "rows_compared") <= 12);
    let churn: [Step<'_>; 3] = [
        &|_| {},
        &|rng| {
            db.sql_blocking("DELETE FROM t WHERE id % 7 = 3").unwrap();
            table.upsert([rows(rng, (0..6000).step_by(9))]).unwrap();
        },
        &|rng| {
            table.append([rows(rng, 6000..9000)]).unwrap();
            db.engine().flush().unwrap();
            db.engine().compact().unwrap();
        },
    ];
    for step in churn {
        step(&mut rng);
        for (condition, asked) in [
            ("true", 0.9),
            ("true", 0.99),
            ("kind = 1", 0.95),
            ("kind < 9 AND id > 50", 0.95),
            ("id % 400 = 7", 0.95),
        ] {
            let found = recall(&db, "cosine", condition, asked);
            assert!(found >= asked - 0.03, "{condition}: {found} of {asked}");
        }
    }
}

/// What an index is made of is derived: lost, damaged or made for another index, it is made again.
#[test]
fn an_index_survives_reopening_and_the_loss_of_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let mut rng = SmallRng::seed_from_u64(62);
    let db = open(path.to_str().unwrap());
    db.table("t").unwrap().append([rows(&mut rng, 0..3000)]).unwrap();
    db.sql_blocking("CREATE INDEX i ON t USING graph (v) WITH (recall = 0.9)").unwrap();
    let asked = |db: &Database| {
        let sql = format!("EXPLAIN ANALYZE SELECT id FROM t ORDER BY v <=> '{}' LIMIT 10", query(5));
        pretty_format_batches(&db.sql_blocking(&sql).unwrap()).unwrap().to_string()
    };
    let before = std::fs::read(&codes(&path)[0]).unwrap();
    assert!(count(&asked(&db), "rows_walked") > 0, "{}", asked(&db));
    db.close().unwrap();
    for harm in [None, Some(before.len() / 2), Some(0)] {
        let file = &codes(&path)[0];
        match harm {
            None => {}
            Some(0) => std::fs::remove_file(file).unwrap(),
            Some(at) => {
                let mut bytes = before.clone();
                bytes[at] ^= 1;
                std::fs::write(file, bytes).unwrap();
            }
        }
        let db = open(path.to_str().unwrap());
        assert!(count(&asked(&db), "rows_walked") > 0, "{harm:?}");
        db.close().unwrap();
        assert_eq!(std::fs::read(&codes(&path)[0]).unwrap(), before, "the same rows make the same codes");
    }
    let db = open(path.to_str().unwrap());
    db.sql_blocking("DROP INDEX i").unwrap();
    assert!(asked(&db).contains("strategy=exact"), "{}", asked(&db));
    assert!(std::fs::read(&codes(&path)[0]).unwrap().len() < before.len());
    db.sql_blocking("CREATE INDEX j ON t USING flat (v)").unwrap();
    assert!(codes(&path).is_empty(), "vectors that are compared whole have no codes");
    check(&db, 63);
}

/// Conditions that hold for what is far from the query leave the nearest where no search would look for so few.
#[test]
fn the_nearest_of_rows_that_are_all_far_are_found() {
    let mut rng = SmallRng::seed_from_u64(63);
    let db = open(":memory:");
    db.table("t").unwrap().append([rows(&mut rng, 0..6000)]).unwrap();
    for kind in ["ivf (v) WITH (lists = 100)", "hnsw (v)"] {
        db.sql_blocking("DROP INDEX IF EXISTS i").unwrap();
        db.sql_blocking(&format!("CREATE INDEX i ON t USING {kind}")).unwrap();
        for farthest in [600, 1500, 4000] {
            let (mut hits, mut all) = (0, 0);
            for seed in 0..12 {
                let query = query(seed);
                let order = found(&db, &format!("SELECT v <=> '{query}' AS d, id FROM t ORDER BY d DESC"));
                let far: Vec<String> = order
                    .iter()
                    .filter(|row| row.0.is_some())
                    .take(farthest)
                    .map(|row| row.1.to_string())
                    .collect();
                let search = |recall: &str| {
                    let sql = format!(
                        "SELECT _distance, id FROM vector_search('t', 'v', '{query}', 10, recall => {recall}) WHERE id IN ({})",
                        far.join(", ")
                    );
                    found(&db, &sql)
                };
                let (exact, some) = (search("1"), search("0.95"));
                let distance = |row: &(Option<u64>, i64)| f64::from_bits(row.0.unwrap());
                let farthest = exact.last().map_or(0.0, distance);
                hits += some.iter().filter(|row| distance(row) <= farthest).count();
                all += exact.len();
            }
            assert!(hits * 100 >= all * 93, "{kind}, {farthest} rows: {hits} of {all}");
        }
    }
}

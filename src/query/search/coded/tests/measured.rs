//! The recall that EXPLAIN ANALYZE shows on request.

use super::*;

/// Rows found, and rows there were to find, as a plan's figures have it.
fn shown(db: &Database, sql: &str) -> Option<(usize, usize)> {
    let rows = db.sql_blocking(&format!("EXPLAIN ANALYZE {sql}")).unwrap();
    let plan = pretty_format_batches(&rows).unwrap().to_string();
    let (_, share) = plan.rsplit_once("recall=")?.1.split_once("% (")?;
    let (part, total) = share.split_once(')')?.0.split_once('/')?;
    Some((part.parse().ok()?, total.parse().ok()?))
}

/// A search that reads one list of forty.
fn narrow(columns: &str, seed: u64) -> String {
    format!("SELECT {columns} FROM vector_search('t', 'v', '{}', 10, nprobe => 1)", query(seed))
}

/// How many of the nearest rows that search finds.
fn hits(db: &Database, seed: u64) -> usize {
    let exact =
        format!("SELECT _distance, id FROM vector_search('t', 'v', '{}', 10, recall => 1)", query(seed));
    let exact = found(db, &exact);
    found(db, &narrow("_distance, id", seed)).iter().filter(|row| exact.contains(row)).count()
}

#[test]
fn recall_is_measured_when_it_is_asked_for() {
    let mut rng = SmallRng::seed_from_u64(71);
    let db = open(":memory:");
    let table = db.table("t").unwrap();
    table.append([rows(&mut rng, 0..6000)]).unwrap();
    db.sql_blocking("CREATE INDEX ON t USING ivf (v) WITH (recall = 1, lists = 40)").unwrap();
    let before: Vec<usize> = (0..30).map(|seed| hits(&db, seed)).collect();
    assert!(before.iter().any(|hits| (1..10).contains(hits)), "no search finds a part: {before:?}");
    assert_eq!(shown(&db, &narrow("id", 0)), None);
    db.sql_blocking("SET trilith.measure_recall = true").unwrap();
    for (seed, hits) in (0..).zip(&before) {
        assert_eq!(shown(&db, &narrow("id", seed)), Some((*hits, 10)));
    }
    assert_eq!((0..30).map(|seed| hits(&db, seed)).collect::<Vec<_>>(), before, "measuring changes nothing");
    let search = |queries: &str, recall: &str| {
        format!("SELECT id FROM vector_search('t', 'v', {queries}, 10, recall => {recall})")
    };
    let many = format!("[{}]", (0..40).map(query).collect::<Vec<_>>().join(","));
    let (part, total) = shown(&db, &search(&many, "0.9")).unwrap();
    assert!(total == 140 && part >= 112, "{part} of {total}: 14 of 40 queries, ten rows each");
    assert_eq!(shown(&db, &search(&many, "1")), None, "an exact search misses nothing");
    db.sql_blocking("SET trilith.measure_recall = false").unwrap();
    assert_eq!(shown(&db, &narrow("id", 0)), None);
}

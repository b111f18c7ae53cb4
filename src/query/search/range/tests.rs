//! Conditions on distances against filters that are not recognised, under churn, and in every place of a query.
#![expect(clippy::unwrap_used, reason = "tests")]

use datafusion::arrow::util::pretty::pretty_format_batches;
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::SmallRng;

use crate::Database;
use crate::query::search::coded::tests::{DIMS, count, found, open, query, rows};

/// Functions, and the operators under which rows are near.
const NEAR: [(&str, [&str; 2]); 7] = [
    ("l2_distance", ["<", "<="]),
    ("cosine_distance", ["<", "<="]),
    ("negative_inner_product", ["<", "<="]),
    ("inner_product", [">", ">="]),
    ("cosine_similarity", [">", ">="]),
    ("l1_distance", ["<", "<="]),
    ("hamming_distance", ["<", "<="]),
];

type Rows = Vec<(Option<u64>, i64)>;

fn sorted(mut rows: Rows) -> Rows {
    rows.sort_by_key(|(_, id)| *id);
    rows
}

fn explain(db: &Database, sql: &str) -> String {
    pretty_format_batches(&db.sql_blocking(&format!("EXPLAIN {sql}")).unwrap()).unwrap().to_string()
}

fn analyzed(db: &Database, sql: &str) -> String {
    explain(db, &format!("ANALYZE {sql}"))
}

fn float(bits: Option<u64>) -> Option<f64> {
    bits.map(f64::from_bits)
}

/// Distances that part the rows of a table in few and many, some of which rows have exactly.
fn radii(rows: &Rows) -> Vec<f64> {
    let mut all: Vec<f64> =
        rows.iter().filter_map(|(bits, _)| float(*bits)).filter(|distance| !distance.is_nan()).collect();
    all.sort_by(f64::total_cmp);
    let (least, greatest) = (all[0], all[all.len() - 1]);
    vec![least - 1.0, least, all[20], all[all.len() / 2], all[all.len() - 20], greatest, greatest + 1.0, 1e40]
}

/// What a condition leaves is what it leaves unrecognised, which a sum with nothing is.
fn check(db: &Database, seed: u64) {
    let query = query(seed);
    for (function, operators) in NEAR {
        let distance = format!("{function}(v, '{query}')");
        let all = found(db, &format!("SELECT {distance} AS d, id FROM t"));
        for radius in radii(&all) {
            for (operator, other) in operators.iter().zip(["kind = 1 OR id % 7 = 3", "id % 400 = 7"]) {
                for condition in ["true", other] {
                    let select = format!("SELECT {distance} AS d, id FROM t WHERE ({condition}) AND");
                    let want = found(db, &format!("{select} {distance} + 0 {operator} {radius:?}"));
                    let range = format!("{select} {distance} {operator} {radius:?}");
                    assert!(explain(db, &range).contains("RangeExec: table=t"), "{}", explain(db, &range));
                    let what = format!("{function} {operator} {radius:?} AND {condition}, seed {seed}");
                    assert_eq!(sorted(found(db, &range)), sorted(want.clone()), "{what}");
                    let direction = if *operator > "=" { "DESC" } else { "ASC" };
                    let nearest = format!("{range} ORDER BY d {direction} LIMIT 9");
                    assert!(explain(db, &nearest).contains("within=["), "{}", explain(db, &nearest));
                    let plain = format!(
                        "{select} {distance} + 0 {operator} {radius:?} ORDER BY d + 0 {direction} LIMIT 9"
                    );
                    let distances = |rows: Rows| rows.into_iter().map(|(d, _)| d).collect::<Vec<_>>();
                    assert_eq!(distances(found(db, &nearest)), distances(found(db, &plain)), "{what}");
                }
            }
        }
    }
}

#[test]
fn ranges_are_exact_under_churn() {
    let mut rng = SmallRng::seed_from_u64(1);
    let db = open(":memory:");
    let table = db.table("t").unwrap();
    table.append([rows(&mut rng, 0..2500)]).unwrap();
    db.engine().flush().unwrap();
    check(&db, 1);
    table.upsert([rows(&mut rng, (0..2500).step_by(3))]).unwrap();
    db.sql_blocking("DELETE FROM t WHERE id % 7 = 3").unwrap();
    for (id, number) in [(9001, "NaN"), (9002, "inf"), (9003, "-inf"), (9004, "1e38")] {
        let vector = vec![number; DIMS].join(",");
        let insert = format!("INSERT INTO t VALUES ({id}, 1, '[{vector}]')");
        // Those that no column of vectors takes are no rows.
        let _refused = db.sql_blocking(&insert);
    }
    check(&db, 2);
    db.engine().flush().unwrap();
    db.engine().compact().unwrap();
    table.upsert([rows(&mut rng, 2400..2600)]).unwrap();
    check(&db, 3);
}

#[test]
fn rows_that_bounds_rule_out_are_not_compared() {
    let db = open(":memory:");
    db.table("t").unwrap().append([rows(&mut SmallRng::seed_from_u64(2), 0..3000)]).unwrap();
    db.engine().flush().unwrap();
    let distance = format!("l2_distance(v, '{}')", query(5));
    let near = found(&db, &format!("SELECT {distance} AS d, id FROM t ORDER BY d LIMIT 50"));
    let radius = float(near[49].0).unwrap();
    for sql in [
        format!("SELECT count(*) FROM t WHERE {distance} <= {radius:?}"),
        format!("SELECT id FROM t WHERE {distance} <= {radius:?} ORDER BY {distance} LIMIT 1000"),
        format!("SELECT id FROM vector_search('t', 'v', '{}', 1000, 'l2', within => {radius:?})", query(5)),
        format!("SELECT id FROM vector_search('t', 'v', '{}', NULL, 'l2', within => {radius:?})", query(5)),
        format!("SELECT id FROM t WHERE {distance} <= {radius:?} ORDER BY v <=> '{}' LIMIT 1000", query(6)),
    ] {
        let plan = analyzed(&db, &sql);
        assert_eq!(count(&plan, "codes_compared"), 3000, "{plan}");
        assert!((50..900).contains(&count(&plan, "rows_compared")), "{plan}");
    }
    // Of few rows, vectors are read at once.
    let few = format!("SELECT id FROM t WHERE id % 500 = 3 AND {distance} <= {radius:?}");
    assert_eq!(count(&analyzed(&db, &few), "codes_compared"), 0);
    assert_eq!(count(&analyzed(&db, &few), "rows_compared"), 6);
}

#[test]
fn ranges_are_found_wherever_they_stand() {
    let db = open(":memory:");
    db.table("t").unwrap().append([rows(&mut SmallRng::seed_from_u64(3), 0..2000)]).unwrap();
    db.engine().flush().unwrap();
    let q = query(4);
    let compare = |range: &str, plain: &str| {
        let plan = explain(&db, range);
        assert!(
            plan.contains("RangeExec") || plan.contains("range=[") || plan.contains("within=["),
            "{plan}"
        );
        assert!(!plan.contains("FilterExec: l2") && !plan.contains("FilterExec: cosine"), "{plan}");
        assert_eq!(sorted(found(&db, range)), sorted(found(&db, plain)), "{range}");
    };
    let d = format!("l2_distance(v, '{q}')");
    for (range, plain) in [
        (format!("9 > {d}"), format!("{d} + 0 < 9")),
        (format!("{d} BETWEEN 6 AND 9.5"), format!("{d} + 0 BETWEEN 6 AND 9.5")),
        (format!("NOT ({d} >= 9)"), format!("{d} + 0 < 9")),
        (
            format!("v <-> '{q}' < 9 AND v <=> '{q}' < 0.9"),
            format!("{d} + 0 < 9 AND (v <=> '{q}') + 0 < 0.9"),
        ),
        (format!("{d} < 9 AND {d} < 8 AND kind < 7"), format!("{d} + 0 < 8 AND kind < 7")),
        (format!("v <#> '{q}' < -9"), format!("(v <#> '{q}') + 0 < -9")),
    ] {
        let sql = |condition: &str| format!("SELECT {d} AS d, id FROM t WHERE {condition}");
        compare(&sql(&range), &sql(&plain));
    }
    // A subquery as the vector, and as a condition of another search.
    let row = "(SELECT v FROM t WHERE id = 7)";
    let near = |zero: &str| format!("SELECT v <-> {row} AS d, id FROM t WHERE (v <-> {row}){zero} < 5");
    compare(&near(""), &near(" + 0"));
    let both = |zero: &str| {
        format!("SELECT v <=> '{q}' AS d, id FROM t WHERE (v <-> {row}){zero} < 9 ORDER BY d LIMIT 40")
    };
    compare(&both(""), &both(" + 0").replace("ORDER BY d", "ORDER BY d + 0"));
    let by_name = |zero: &str| {
        format!(
            "SELECT _distance, id FROM vector_search('t', 'v', '{q}', 30, 'l2') WHERE (v <=> '{q}'){zero} < 0.7"
        )
    };
    assert!(explain(&db, &by_name("")).contains("range=[v cosine: distance < 0.7]"));
    assert_eq!(found(&db, &by_name("")), found(&db, &by_name(" + 0")));
    let nothing = "SELECT v <-> (SELECT v FROM t WHERE id = 2) AS d, id FROM t WHERE v <-> (SELECT v FROM t WHERE id = 2) < 9";
    assert_eq!(found(&db, nothing), []);
    for plain in [
        format!("SELECT id FROM t WHERE {d} > 9"),
        format!("SELECT id FROM t WHERE {d} = 9"),
        format!("SELECT id FROM t WHERE {d} < kind"),
        "SELECT id FROM t WHERE v <-> v < 9".to_owned(),
        format!("SELECT id FROM t WHERE {d} < 9 OR kind = 3"),
        format!("SELECT id FROM t WHERE {d} < 9 AND random() < 2"),
    ] {
        assert!(!explain(&db, &plain).contains("RangeExec"), "{}", explain(&db, &plain));
    }
    let sql = format!("DELETE FROM t WHERE {d} < 8");
    let left = found(&db, &format!("SELECT {d} AS d, id FROM t WHERE ({d} + 0 < 8) IS NOT TRUE"));
    db.sql_blocking(&sql).unwrap();
    assert_eq!(sorted(found(&db, &format!("SELECT {d} AS d, id FROM t"))), sorted(left));
}

#[test]
fn a_search_gives_no_row_beyond_its_radius() {
    let db = open(":memory:");
    db.table("t").unwrap().append([rows(&mut SmallRng::seed_from_u64(4), 0..9000)]).unwrap();
    db.engine().flush().unwrap();
    db.table("t").unwrap().upsert([rows(&mut SmallRng::seed_from_u64(5), 8900..9100)]).unwrap();
    let q = query(8);
    for (metric, function) in [("l2", "<->"), ("cosine", "<=>"), ("inner_product", "<#>"), ("l1", "<+>")] {
        let all = found(&db, &format!("SELECT v {function} '{q}' AS d, id FROM t WHERE v IS NOT NULL"));
        for radius in radii(&all) {
            let near = |(bits, _): &&(Option<u64>, i64)| float(*bits).is_some_and(|d| d <= radius);
            let want: Rows = all.iter().filter(near).copied().collect();
            for k in ["NULL", "9223372036854775807", "18446744073709551615", "100000"] {
                let sql = format!(
                    "SELECT _distance, id FROM vector_search('t', 'v', '{q}', k => {k}, metric => '{metric}', within => {radius:?})"
                );
                let got = found(&db, &sql);
                assert!(got.is_sorted_by_key(|(bits, _)| float(*bits).map(|d| (d * 1e9) as i64)), "{sql}");
                assert_eq!(sorted(got), sorted(want.clone()), "{sql}");
            }
            let seven = found(
                &db,
                &format!(
                    "SELECT _distance, id FROM vector_search('t', 'v', '{q}', 7, '{metric}', within => {radius:?})"
                ),
            );
            let mut best: Vec<_> = want.iter().filter_map(|(bits, _)| float(*bits)).collect();
            best.sort_by(f64::total_cmp);
            best.truncate(7);
            assert_eq!(seven.iter().filter_map(|(bits, _)| float(*bits)).collect::<Vec<_>>(), best);
            let two = format!(
                "SELECT _distance, id * 10 + _query FROM vector_search('t', 'v', [{q}, {q}], NULL, '{metric}', within => {radius:?})"
            );
            assert_eq!(found(&db, &two).len(), 2 * want.len(), "{two}");
        }
    }
    let all = format!("SELECT _distance, id FROM vector_search('t', 'v', '{q}', NULL, diversity => 0)");
    assert_eq!(found(&db, &all).len(), 9100 - 9100 / 50);
    let unlike = format!(
        "SELECT _distance, id FROM vector_search('t', 'v', '{q}', NULL, diversity => 0.5) WHERE id < 60"
    );
    assert_eq!(found(&db, &unlike).len(), 58);
    for (wrong, part) in [
        ("k => 0, within => 1", "k must be a whole number above 0"),
        ("within => 'far'", "within must be a distance"),
        ("within => 1e999", "within must be a distance"),
    ] {
        let error = db.sql_blocking(&format!("SELECT id FROM vector_search('t', 'v', '{q}', {wrong})"));
        assert!(error.as_ref().is_err_and(|error| error.to_string().contains(part)), "{wrong}: {error:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_range_is_a_plain_filter(
        seed in 0..1000_u64,
        flushed in 0..2200_i64,
        deleted in 2..40_i64,
        radius in -2.0..30.0_f64,
        (function, operators) in prop::sample::select(NEAR.to_vec()),
        either in 0..2_usize,
        condition in prop::sample::select(vec!["true", "kind < 4", "id % 300 = 1", "v IS NOT NULL", "id < 0"]),
    ) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let db = open(":memory:");
        let table = db.table("t").unwrap();
        table.append([rows(&mut rng, 0..flushed)]).unwrap();
        db.engine().flush().unwrap();
        table.append([rows(&mut rng, flushed..2300)]).unwrap();
        db.sql_blocking(&format!("DELETE FROM t WHERE id % {deleted} = 1")).unwrap();
        let (d, operator) = (format!("{function}(v, '{}')", query(seed)), operators[either]);
        let select = format!("SELECT {d} AS d, id FROM t WHERE {condition} AND {d}");
        let got = sorted(found(&db, &format!("{select} {operator} {radius:?}")));
        prop_assert_eq!(got, sorted(found(&db, &format!("{select} + 0 {operator} {radius:?}"))));
    }
}

//! The nearest rows of each group against a window that is not recognised, and against brute force, under churn.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use datafusion::arrow::util::pretty::pretty_format_batches;
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::SmallRng;

use crate::Database;
use crate::query::search::coded::tests::{count, found, open, query, rows};

const ORDERS: [(&str, &str); 5] = [
    ("l2_distance", "ASC"),
    ("cosine_distance", "ASC"),
    ("inner_product", "DESC"),
    ("inner_product", "DESC NULLS LAST"),
    ("l1_distance", "ASC NULLS FIRST"),
];

fn explain(db: &Database, sql: &str) -> String {
    pretty_format_batches(&db.sql_blocking(&format!("EXPLAIN {sql}")).unwrap()).unwrap().to_string()
}

fn window(
    (function, order): (&str, &str),
    zero: &str,
    seed: u64,
    (groups, condition): (&str, &str),
    k: usize,
) -> String {
    let distance = format!("{function}(v, '{}')", query(seed));
    format!(
        "SELECT d, coalesce(kind, -1) * 1000 + r::BIGINT FROM (SELECT kind, {distance} AS d, \
         row_number() OVER (PARTITION BY {groups} ORDER BY {distance}{zero} {order}) AS r FROM t WHERE {condition}) WHERE r <= {k}"
    )
}

/// A search finds the distances, group by group and in their places, that the window finds.
fn check(db: &Database, seed: u64) {
    for order in ORDERS {
        for groups in [
            ("kind", "true"),
            ("kind", "id % 400 = 7"),
            ("kind", "kind < 5 AND v IS NOT NULL"),
            ("kind", "id < 0"),
        ] {
            for k in [1, 4, 300] {
                let by_search = window(order, "", seed, groups, k);
                let plan = explain(db, &by_search);
                assert!(plan.contains("PerGroupExec: table=t") || groups.1 == "id < 0", "{plan}");
                let sorted = |sql: &str| {
                    let mut rows = found(db, sql);
                    rows.sort_unstable_by_key(|(_, place)| *place);
                    rows
                };
                assert_eq!(
                    sorted(&by_search),
                    sorted(&window(order, " + 0", seed, groups, k)),
                    "{order:?} {groups:?} {k}"
                );
            }
        }
    }
}

#[test]
fn the_nearest_of_each_group_are_those_of_the_window() {
    let mut rng = SmallRng::seed_from_u64(1);
    let db = open(":memory:");
    let table = db.table("t").unwrap();
    table.append([rows(&mut rng, 0..2500)]).unwrap();
    db.engine().flush().unwrap();
    check(&db, 1);
    table.upsert([rows(&mut rng, (0..2500).step_by(3))]).unwrap();
    db.sql_blocking("UPDATE t SET kind = NULL WHERE id % 10 = 4").unwrap();
    db.sql_blocking("DELETE FROM t WHERE id % 7 = 3").unwrap();
    check(&db, 2);
    db.engine().flush().unwrap();
    db.engine().compact().unwrap();
    table.upsert([rows(&mut rng, 2400..2600)]).unwrap();
    check(&db, 3);
}

#[test]
fn what_is_no_such_search_stays_a_window() {
    let db = open(":memory:");
    db.table("t").unwrap().append([rows(&mut SmallRng::seed_from_u64(2), 0..50)]).unwrap();
    let q = query(1);
    let of = |function: &str, by: &str, condition: &str| {
        format!("SELECT id FROM (SELECT id, {function} OVER ({by}) AS r FROM t) WHERE {condition}")
    };
    let by = format!("PARTITION BY kind ORDER BY v <-> '{q}'");
    for near in ["r <= 3", "r < 4", "r = 1", "3 >= r AND id > 7"] {
        assert!(explain(&db, &of("row_number()", &by, near)).contains("PerGroupExec"), "{near}");
    }
    for (function, by, condition) in [
        ("rank()", by.as_str(), "r <= 3"),
        ("row_number()", &by, "r >= 3"),
        ("row_number()", &by, "r <= 3 OR id = 1"),
        ("row_number()", &format!("{by} DESC"), "r <= 3"),
        ("row_number()", &format!("{by}, id"), "r <= 3"),
        ("row_number()", &by.replace("kind", "v"), "r <= 3"),
        ("row_number()", &by.replace("kind", "kind + 1"), "r <= 3"),
    ] {
        let plan = explain(&db, &of(function, by, condition));
        assert!(!plan.contains("PerGroupExec"), "{plan}");
    }
}

#[test]
fn a_search_by_name_finds_the_nearest_of_each_group() {
    let db = open(":memory:");
    db.table("t").unwrap().append([rows(&mut SmallRng::seed_from_u64(3), 0..9000)]).unwrap();
    db.engine().flush().unwrap();
    db.sql_blocking("UPDATE t SET kind = NULL WHERE id % 90 = 4").unwrap();
    let q = query(2);
    let all =
        found(&db, &format!("SELECT v <-> '{q}' AS d, coalesce(kind, 99) AS g FROM t WHERE v IS NOT NULL"));
    let mut groups: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for (bits, group) in all {
        groups.entry(group).or_default().push(f64::from_bits(bits.unwrap()));
    }
    let mut want = vec![];
    for (group, distances) in &mut groups {
        distances.sort_by(f64::total_cmp);
        want.extend(distances.iter().take(5).map(|distance| (Some(distance.to_bits()), *group)));
    }
    let search = |more: &str| {
        format!(
            "SELECT _distance, coalesce(kind, 99) FROM vector_search('t', 'v', '{q}', 5, 'l2', per => {more})"
        )
    };
    assert_eq!(found(&db, &search("'kind'")), want);
    assert_eq!(found(&db, &search("['kind']")), want);
    assert_eq!(found(&db, &search("'id'")).len(), 9000 - 9000 / 50);
    let near = found(&db, &search("'kind', within => 6"));
    let within: Vec<_> =
        want.iter().filter(|(bits, _)| f64::from_bits(bits.unwrap()) <= 6.0).copied().collect();
    assert_eq!(near, within);
    assert_eq!(found(&db, &format!("{} WHERE kind = 3", search("'kind'"))).len(), 5);
    let plan = explain(&db, &format!("ANALYZE {}", search("'kind'")));
    assert!(
        plan.contains("PerGroupExec: table=t, column=v, metric=l2, k=5, per=[kind], strategy=exact"),
        "{plan}"
    );
    assert!(count(&plan, "codes_compared") > 4000, "{plan}");
    assert!(count(&plan, "rows_compared") < 5000, "{plan}");
    for (wrong, part) in [
        ("'colour'", "t.colour"),
        ("3", "per must be the name of a column"),
        ("'kind', diversity => 0.5", "per is for one vector"),
    ] {
        let error = db.sql_blocking(&search(wrong)).unwrap_err().to_string();
        assert!(error.contains(part), "{wrong}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn any_history_finds_what_the_window_finds(
        seed in 0..1000_u64,
        flushed in 0..2200_i64,
        deleted in 2..40_i64,
        modulus in 1..700_i64,
        k in 1..20_usize,
        order in prop::sample::select(ORDERS.to_vec()),
        condition in prop::sample::select(vec!["true", "kind < 4", "id % 30 = 1", "v IS NOT NULL"]),
    ) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let db = open(":memory:");
        let table = db.table("t").unwrap();
        table.append([rows(&mut rng, 0..flushed)]).unwrap();
        db.engine().flush().unwrap();
        table.append([rows(&mut rng, flushed..2300)]).unwrap();
        db.sql_blocking(&format!("DELETE FROM t WHERE id % {deleted} = 1")).unwrap();
        db.sql_blocking(&format!("UPDATE t SET kind = id % {modulus} WHERE id % 2 = 0")).unwrap();
        let sorted = |zero: &str| {
            let mut rows = found(&db, &window(order, zero, seed, ("kind", condition), k));
            rows.sort_unstable_by_key(|(_, place)| *place);
            rows
        };
        prop_assert_eq!(sorted(""), sorted(" + 0"));
    }
}

//! Searches for words against a naive scorer and against a model, over whatever files the rows are in.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::{Float64Type, Int64Type};
use proptest::prelude::*;
use trilith_engine::{Isolation, Options as EngineOptions};

use crate::{Database, Options};

const WORDS: [&str; 7] = ["tea", "cup", "leaf", "green", "black", "bowl", "ink"];
const SCHEMA: &str = "CREATE TABLE t (id BIGINT PRIMARY KEY, kind BIGINT, body TEXT)";

fn open(path: &Path) -> Database {
    let engine = EngineOptions { batch_rows: 4, background: false, ..EngineOptions::default() };
    Database::open_blocking(path, Options { threads: Some(2), ..Options::from(engine) }).unwrap()
}

fn memory() -> Database {
    let db = open(Path::new(":memory:"));
    db.sql_blocking(SCHEMA).unwrap();
    db
}

fn found(db: &Database, query: &str, k: usize, condition: &str) -> Vec<(i64, f64)> {
    let query = query.replace('\'', "''");
    let sql = format!(
        "SELECT id, _score FROM text_search('t', 'body', '{query}', {k}, language => 'none') {condition}"
    );
    let batches = db.sql_blocking(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let mut rows = vec![];
    for batch in &batches {
        let (ids, scores) =
            (batch.column(0).as_primitive::<Int64Type>(), batch.column(1).as_primitive::<Float64Type>());
        rows.extend(ids.values().iter().copied().zip(scores.values().iter().copied()));
    }
    rows
}

fn ids(found: &[(i64, f64)]) -> BTreeSet<i64> {
    found.iter().map(|(id, _)| *id).collect()
}

type Model = BTreeMap<i64, Option<String>>;

fn upsert(db: &Database, model: &mut Model, rows: Vec<(i64, Option<String>)>) {
    let value = |(id, text): &(i64, Option<String>)| {
        let text = text.as_ref().map_or("NULL".into(), |text| format!("'{text}'"));
        format!("({id}, {}, {text})", id % 3)
    };
    let values: Vec<String> = rows.iter().map(value).collect();
    let sql = format!("INSERT OR REPLACE INTO t VALUES {}", values.join(", "));
    db.sql_blocking(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    model.extend(rows);
}

/// Okapi BM25 as the paper has it, word by word over all rows.
fn naive(model: &Model, words: &[&str]) -> BTreeMap<i64, f64> {
    let texts: Vec<(i64, Vec<&str>)> = model
        .iter()
        .filter_map(|(id, text)| Some((*id, text.as_ref()?.split_whitespace().collect())))
        .collect();
    let count = texts.len() as f64;
    let average = texts.iter().map(|(_, text)| text.len()).sum::<usize>() as f64 / count;
    let mut scores = BTreeMap::new();
    for word in words {
        let with = texts.iter().filter(|(_, text)| text.contains(word)).count() as f64;
        let weight = (1.0 + (count - with + 0.5) / (with + 0.5)).ln();
        for (id, text) in &texts {
            let times = text.iter().filter(|other| *other == word).count() as f64;
            if times > 0.0 {
                let length = 1.2 * (0.25 + 0.75 * text.len() as f64 / average);
                *scores.entry(*id).or_default() += weight * times * 2.2 / (times + length);
            }
        }
    }
    scores
}

fn texts() -> impl Strategy<Value = Option<String>> {
    let text =
        prop::collection::vec(prop::sample::select(&WORDS[..]), 0..12).prop_map(|words| words.join(" "));
    prop::option::weighted(0.9, text)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn scores_are_those_of_the_formula_wherever_the_rows_are(
        parts in prop::collection::vec(prop::collection::vec(texts(), 1..20), 1..5),
        words in prop::sample::subsequence(WORDS.to_vec(), 1..4),
        flushed in prop::collection::vec(any::<bool>(), 5),
    ) {
        let (db, mut model) = (memory(), Model::new());
        for (part, flush) in parts.into_iter().zip(flushed) {
            let first = model.len() as i64;
            upsert(&db, &mut model, (first..).zip(part).collect());
            if flush {
                db.engine().flush().unwrap();
            }
            let expected = naive(&model, &words);
            let got = found(&db, &words.join(" "), 1000, "");
            prop_assert_eq!(ids(&got), expected.keys().copied().collect::<BTreeSet<_>>());
            for (id, score) in &got {
                prop_assert!((score - expected[id]).abs() < 1e-4, "row {}: {} and {}", id, score, expected[id]);
            }
            prop_assert!(got.is_sorted_by(|a, b| a.1 >= b.1));
            for k in [1, 3] {
                let best = found(&db, &words.join(" "), k, "");
                prop_assert_eq!(best.len(), k.min(got.len()));
                // The order in which words are added up, and so the last bit of a score, depends on k.
                for ((id, score), (_, same)) in best.iter().zip(&got) {
                    prop_assert!((score - same).abs() < 1e-5 && (score - expected[id]).abs() < 1e-4);
                }
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Upsert(Vec<(i64, Option<String>)>),
    Delete(i64),
    Flush,
    Vacuum,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let rows = prop::collection::btree_map(0..30_i64, texts(), 1..8);
    let step = prop_oneof![
        6 => rows.prop_map(|rows| Step::Upsert(rows.into_iter().collect())),
        2 => (0..30_i64).prop_map(Step::Delete),
        2 => Just(Step::Flush),
        1 => Just(Step::Vacuum),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..20)
}

/// What a query finds, by going through the texts.
fn matching(model: &Model, fits: impl Fn(&[&str]) -> bool) -> BTreeSet<i64> {
    let texts = model.iter().filter_map(|(id, text)| Some((*id, text.as_ref()?)));
    texts.filter(|(_, text)| fits(&text.split_whitespace().collect::<Vec<_>>())).map(|(id, _)| id).collect()
}

fn check(db: &Database, model: &Model) {
    type Fits = fn(&[&str]) -> bool;
    let cases: [(&str, Fits); 6] = [
        ("tea cup", |text| text.contains(&"tea") || text.contains(&"cup")),
        ("tea AND cup", |text| text.contains(&"tea") && text.contains(&"cup")),
        ("leaf -ink", |text| text.contains(&"leaf") && !text.contains(&"ink")),
        ("\"green tea\"", |text| text.windows(2).any(|pair| pair == ["green", "tea"])),
        ("b*", |text| text.iter().any(|word| word.starts_with('b'))),
        ("teas~", |text| text.contains(&"tea")),
    ];
    for (query, fits) in cases {
        let expected = matching(model, fits);
        let all = found(db, query, 1000, "");
        assert_eq!(ids(&all), expected, "{query}");
        let some = found(db, query, 1000, "WHERE kind = 1 AND id < 20");
        assert_eq!(ids(&some), expected.iter().copied().filter(|id| id % 3 == 1 && *id < 20).collect());
        let best = found(db, query, 2, "WHERE kind = 1 AND id < 20");
        assert_eq!(best[..], some[..2.min(some.len())], "{query}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_history_finds_what_going_through_the_texts_finds(steps in steps()) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("db");
        let (mut db, mut model) = (open(&path), Model::new());
        db.sql_blocking(SCHEMA).unwrap();
        for step in steps {
            match step {
                Step::Upsert(rows) => upsert(&db, &mut model, rows),
                Step::Delete(id) => {
                    model.remove(&id);
                    db.sql_blocking(&format!("DELETE FROM t WHERE id = {id}")).unwrap();
                }
                Step::Flush => {
                    db.engine().flush().unwrap();
                }
                Step::Vacuum => {
                    db.sql_blocking("VACUUM").unwrap();
                }
                Step::Reopen => {
                    db.close().unwrap();
                    db = open(&path);
                }
            }
            check(&db, &model);
        }
    }
}

#[test]
fn an_earlier_snapshot_goes_on_finding_its_own_rows() {
    let (db, mut model) = (memory(), Model::new());
    upsert(&db, &mut model, vec![(1, Some("tea".into())), (2, Some("cup".into()))]);
    let before = db.begin_blocking(Isolation::Snapshot).unwrap();
    let sql = "SELECT id FROM text_search('t', 'body', 'tea cup', language => 'none')";
    let rows = |tx: &crate::Transaction| {
        tx.sql_blocking(sql).unwrap().iter().map(|batch| batch.num_rows()).sum::<usize>()
    };
    assert_eq!(rows(&before), 2);
    upsert(&db, &mut model, vec![(2, Some("ink".into())), (3, Some("tea".into()))]);
    assert_eq!(found(&db, "tea cup", 10, "").len(), 2);
    assert_eq!(rows(&before), 2);
    before.sql_blocking("INSERT INTO t VALUES (9, 0, 'cup of tea')").unwrap();
    assert_eq!(rows(&before), 3);
    before.rollback();
}

#[test]
fn who_writes_a_file_makes_what_searches_asked_for_before() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("db");
    let (db, mut model) = (open(&path), Model::new());
    db.sql_blocking(SCHEMA).unwrap();
    let stored = || std::fs::read_dir(path.join("idx")).unwrap().count();
    let rows = |first: i64| (first..first + 9).map(|id| (id, Some("green tea".to_owned()))).collect();
    upsert(&db, &mut model, rows(0));
    db.engine().flush().unwrap();
    assert_eq!(stored(), 0);
    upsert(&db, &mut model, rows(100));
    assert_eq!(found(&db, "tea", 100, "").len(), 18);
    assert_eq!(stored(), 1);
    db.engine().flush().unwrap();
    assert_eq!(stored(), 2);
    db.sql_blocking("DELETE FROM t WHERE id < 5").unwrap();
    db.sql_blocking("VACUUM").unwrap();
    assert!(stored() >= 1);
    let made = std::fs::read_dir(path.join("idx")).unwrap().map(|entry| entry.unwrap().file_name());
    let made: BTreeSet<_> = made.collect();
    assert_eq!(found(&db, "tea", 100, "").len(), 13);
    let after = std::fs::read_dir(path.join("idx")).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(after.collect::<BTreeSet<_>>(), made);
}

#[test]
fn damaged_and_missing_indexes_are_made_again() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("db");
    let (db, mut model) = (open(&path), Model::new());
    db.sql_blocking(SCHEMA).unwrap();
    upsert(
        &db,
        &mut model,
        (0..50).map(|id| (id, Some(format!("tea {}", WORDS[id as usize % 7])))).collect(),
    );
    db.engine().flush().unwrap();
    let before = found(&db, "tea leaf", 50, "");
    db.close().unwrap();
    let stored = || -> Vec<std::path::PathBuf> {
        std::fs::read_dir(path.join("idx")).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    assert_eq!(stored().len(), 1);
    let whole = std::fs::read(&stored()[0]).unwrap();
    for at in (0..whole.len()).step_by(whole.len() / 40) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        std::fs::write(&stored()[0], damaged).unwrap();
        let db = open(&path);
        assert_eq!(found(&db, "tea leaf", 50, ""), before, "byte {at}");
        db.close().unwrap();
    }
    assert_eq!(std::fs::read(&stored()[0]).unwrap().len(), whole.len());
    std::fs::remove_file(&stored()[0]).unwrap();
    let db = open(&path);
    assert_eq!(found(&db, "tea leaf", 50, ""), before);
}

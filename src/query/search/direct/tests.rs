//! Searches by name give what the same calls give in SQL, whatever the condition.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::scalar::ScalarValue;

use super::Search;
use crate::{Database, ErrorKind};

fn pages() -> Database {
    let db = Database::in_memory().unwrap();
    db.sql_blocking("CREATE TABLE pages (id BIGINT PRIMARY KEY, kind TEXT, body TEXT, v VECTOR(2))").unwrap();
    let row = |id: i64| {
        let body = ["green tea", "black tea and a cup", "a cup", "ink"][id as usize % 4];
        let v = if id % 7 == 3 { "NULL".to_owned() } else { format!("[{}, {}]", id % 5, id % 11) };
        format!("({id}, 'k{}', '{body}', {v})", id % 3)
    };
    let rows: Vec<String> = (0..50).map(row).collect();
    db.sql_blocking(&format!("INSERT INTO pages VALUES {}", rows.join(", "))).unwrap();
    db
}

fn text(batches: &[RecordBatch]) -> String {
    pretty_format_batches(batches).unwrap().to_string()
}

fn by_words() -> Search {
    let search = Search::new("text_search").unwrap().argument("table", "pages");
    search.argument("column", "body").argument("query", "tea cup").argument("k", 7_i64)
}

fn by_distance() -> Search {
    let vector = ScalarValue::from("[1.0, 2.0]");
    let search = Search::new("VECTOR_SEARCH").unwrap().argument("table", "pages").argument("query", vector);
    search.argument("k", 7_i64).argument("metric", "l2")
}

const CONDITIONS: [&str; 10] = [
    "id < 20",
    "id < 20 AND kind IN ('k1', 'k2') -- and a comment",
    "id = 4",
    "kind LIKE 'k%' AND upper(kind) <> 'K1' OR id BETWEEN 3 AND 9",
    "now() > TIMESTAMP '2020-01-01'",
    "id IN (SELECT id FROM pages WHERE kind = 'k2')",
    "CASE WHEN kind = 'k0' THEN id ELSE 0 END > 5",
    "id::TEXT > '2'",
    "false",
    "NULL",
];

#[test]
fn a_search_is_the_call_in_sql() {
    let db = pages();
    for condition in CONDITIONS {
        let plain = condition.replace("-- and a comment", "");
        let sql = format!("text_search('pages', 'body', 'tea cup', 7) WHERE {plain} ORDER BY _score DESC");
        let expected = db.sql_blocking(&format!("SELECT id, _score FROM {sql}")).unwrap();
        let got = db.search_blocking(&by_words().filter(condition).columns(["id", "_score"])).unwrap();
        let rows = |batches: &[RecordBatch]| batches.iter().map(RecordBatch::num_rows).sum::<usize>();
        assert_eq!(rows(&got), rows(&expected), "{condition}");
        if rows(&got) > 0 {
            assert_eq!(text(&got), text(&expected), "{condition}");
        }
    }
}

#[test]
fn conditions_on_the_result_hold_after_the_best_are_chosen() {
    let db = pages();
    let all = db.search_blocking(&by_distance()).unwrap();
    let near = db.search_blocking(&by_distance().filter("_distance <= 1")).unwrap();
    let expected = "SELECT * FROM vector_search('pages', 'v', '[1.0, 2.0]', 7, 'l2') WHERE _distance <= 1";
    assert_eq!(text(&near), text(&db.sql_blocking(&format!("{expected} ORDER BY _distance")).unwrap()));
    assert!(near.iter().map(RecordBatch::num_rows).sum::<usize>() < all[0].num_rows());
}

#[test]
fn wrong_calls_say_what_is_wrong() {
    let db = pages();
    let failure = |search: Search| match db.search_blocking(&search) {
        Err(error) => (error.kind(), error.to_string()),
        Ok(rows) => panic!("{search:?} found {}", text(&rows)),
    };
    let unknown = Search::new("image_search").unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
    assert!(unknown.to_string().contains("text_search"), "{unknown}");
    for (search, part) in [
        (by_words().argument("colour", "red"), "no argument \"colour\""),
        (by_words().argument("k", 0_i64), "k must be a whole number above 0"),
        (by_words().columns(["colour"]), "the result has id, kind, body, v, _score"),
        (by_words().filter("id <"), "Expected"),
        (by_words().filter("id < 3; DROP TABLE pages"), "end of expression"),
        (by_words().filter("id + 1"), "boolean"),
        (by_words().filter("nothing = 3"), "nothing"),
        (by_words().filter(format!("id = 1{}", " OR id = 1".repeat(5_000))), "operators in one expression"),
        (by_words().argument("column", ScalarValue::Null), "several columns of text: kind, body"),
        (Search::new("vector_search").unwrap().argument("table", "pages"), "the query is missing"),
        (Search::new("sparse_search").unwrap().argument("table", "pages").argument("query", "{}"), "sparse"),
    ] {
        let (_, message) = failure(search);
        assert!(message.to_lowercase().contains(&part.to_lowercase()), "{part}: {message}");
    }
    assert_eq!(failure(by_words().argument("table", "nowhere")).0, ErrorKind::NotFound);
}

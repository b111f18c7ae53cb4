//! Collections end to end, and filters against a second reading of MongoDB's manual.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::document::{Direction, Update};
use crate::error::ErrorKind;

fn filter(json: &str) -> Filter {
    Filter::parse(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

fn all() -> Filter {
    filter("{}")
}

/// Runs a call of a collection to its end.
macro_rules! wait {
    ($db:expr, $future:expr) => {{
        let runtime = $db.runtime().unwrap();
        std::thread::scope(|scope| scope.spawn(|| runtime.block_on($future)).join().unwrap())
    }};
}

fn found(db: &Database, name: &str, filter: &Filter, options: &FindOptions) -> Vec<String> {
    wait!(db, db.collection(name).find_json(filter, options)).unwrap()
}

fn people() -> Database {
    let db = Database::in_memory().unwrap();
    let documents = [
        r#"{"_id": "a", "name": "Ada", "age": 36, "tags": ["x", "y"], "meta": {"login": 5}}"#,
        r#"{"_id": "b", "name": "Bo", "age": 9, "tags": [], "meta": {"login": null}}"#,
        r#"{"_id": "c", "name": "Cy", "age": 41.5, "orders": [{"n": 1}, {"n": 4}]}"#,
    ];
    db.collection("people").insert_many(documents).unwrap();
    db
}

#[test]
fn documents_come_back_and_sql_sees_them() {
    let db = people();
    let names = |json| {
        let options = FindOptions {
            projection: Some(Projection::parse(r#"{"name": 1, "_id": 0}"#).unwrap()),
            ..FindOptions::default()
        };
        found(&db, "people", &filter(json), &options).join("")
    };
    assert_eq!(names("{}"), r#"{"name":"Ada"}{"name":"Bo"}{"name":"Cy"}"#);
    for (json, want) in [
        (r#"{"age": {"$gt": 9}}"#, "Ada Cy"),
        (r#"{"age": 41.5}"#, "Cy"),
        (r#"{"age": {"$gte": 9, "$lt": 40}}"#, "Ada Bo"),
        (r#"{"tags": "x"}"#, "Ada"),
        (r#"{"tags": ["x", "y"]}"#, "Ada"),
        (r#"{"tags": []}"#, "Bo"),
        (r#"{"tags.1": "y"}"#, "Ada"),
        (r#"{"meta.login": null}"#, "Bo Cy"),
        (r#"{"meta.login": {"$exists": true}}"#, "Ada Bo"),
        (r#"{"meta.login": {"$exists": false}}"#, "Cy"),
        (r#"{"meta": {"login": 5}}"#, "Ada"),
        (r#"{"orders.n": 4}"#, "Cy"),
        (r#"{"orders.n": {"$gt": 1, "$lt": 4}}"#, "Cy"),
        (r#"{"orders.0.n": 4}"#, ""),
        (r#"{"name": {"$gt": 5}}"#, ""),
        (r#"{"age": {"$not": {"$gt": 9}}}"#, "Bo"),
        (r#"{"name": {"$in": ["Bo", "Cy", 7]}}"#, "Bo Cy"),
        (r#"{"name": {"$nin": ["Bo", "Cy", 7]}}"#, "Ada"),
        (r#"{"name": {"$ne": "Bo"}}"#, "Ada Cy"),
        (r#"{"$or": [{"age": 9}, {"name": "Cy"}]}"#, "Bo Cy"),
        (r#"{"$nor": [{"age": 9}, {"name": "Cy"}]}"#, "Ada"),
        (r#"{"$and": [{"age": {"$gt": 8}}, {"age": {"$lt": 10}}]}"#, "Bo"),
        (r#"{"_id": "b"}"#, "Bo"),
        (r#"{"_id": {"$in": ["a", "b", "zz"]}, "age": 9}"#, "Bo"),
        (r#"{"_id": {"$ne": "b"}}"#, "Ada Cy"),
    ] {
        let want: String = want.split_whitespace().map(|name| format!("{{\"name\":\"{name}\"}}")).collect();
        assert_eq!(names(json), want, "{json}");
        let count = wait!(db, db.collection("people").count(&filter(json))).unwrap();
        assert_eq!(count as usize, want.matches("name").count(), "{json}");
    }
    let batches = db
        .sql_blocking("SELECT doc->>'name', doc->'meta'->>'login' FROM people WHERE doc->>'age' = '36'")
        .unwrap();
    assert_eq!(batches[0].column(0).as_string::<i32>().value(0), "Ada");
    assert_eq!(batches[0].column(1).as_string::<i32>().value(0), "5");
}

#[test]
fn an_id_is_looked_up_by_key() {
    let db = people();
    let session = db.session().unwrap();
    let source = db.collection("people").source().unwrap().unwrap();
    let plan = wait!(db, async {
        source.matching(&filter(r#"{"_id": "b"}"#)).unwrap().create_physical_plan().await
    })
    .unwrap();
    let shown = datafusion::physical_plan::displayable(plan.as_ref()).indent(false).to_string();
    assert!(shown.contains("LookupExec: table=people"), "{shown}");
    drop(session);
}

#[test]
fn sort_skip_limit() {
    let db = people();
    let ids = |sort: &[(&str, Direction)], skip, limit| {
        let options = FindOptions {
            sort: Sort::parse(sort.iter().copied()).unwrap(),
            skip,
            limit,
            projection: Some(Projection::parse(r#"{"_id": 1}"#).unwrap()),
        };
        let texts = found(&db, "people", &all(), &options);
        texts.iter().map(|text| text.chars().nth(8).unwrap()).collect::<String>()
    };
    assert_eq!(ids(&[("age", Direction::Ascending)], 0, None), "bac");
    assert_eq!(ids(&[("age", Direction::Descending)], 1, Some(1)), "a");
    assert_eq!(ids(&[("meta.login", Direction::Ascending), ("age", Direction::Descending)], 0, None), "cba");
    assert_eq!(ids(&[], 1, Some(5)), "bc");
    assert_eq!(ids(&[], 0, Some(2)).len(), 2);
}

#[test]
fn ids_are_made_given_and_refused() {
    let db = Database::in_memory().unwrap();
    let users = db.collection("users");
    assert_eq!(wait!(db, users.count(&all())).unwrap(), 0);
    assert_eq!(found(&db, "users", &all(), &FindOptions::default()), Vec::<String>::new());
    let made = users.insert_many([r#"{"n": 1}"#, r#"{"n": 2}"#]).unwrap();
    let [Value::Text(first), Value::Text(second)] = made.as_slice() else { panic!("{made:?}") };
    assert!(first < second);
    let text = found(&db, "users", &filter(&format!("{{\"_id\": {first:?}}}")), &FindOptions::default());
    assert_eq!(text, [format!("{{\"_id\":\"{first}\",\"n\":1}}")]);
    users.insert_one(r#"{"_id": 7}"#).unwrap();
    assert_eq!(found(&db, "users", &filter(r#"{"_id": 7}"#), &FindOptions::default()), [r#"{"_id":7}"#]);
    assert_eq!(
        found(&db, "users", &filter(r#"{"_id": "7"}"#), &FindOptions::default()),
        Vec::<String>::new()
    );
    let twice = users.insert_many([r#"{"n": 3}"#, r#"{"_id": 7}"#]).unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::AlreadyExists, "{twice}");
    assert_eq!(wait!(db, users.count(&all())).unwrap(), 3);
    for wrong in ["[1]", "{\"_id\": 1.5}", "{\"_id\": null}", "{"] {
        assert_eq!(users.insert_one(wrong).unwrap_err().kind(), ErrorKind::Invalid, "{wrong}");
    }
    db.sql_blocking("CREATE TABLE plain (id BIGINT)").unwrap();
    let error = db.collection("plain").insert_one("{}").unwrap_err().to_string();
    assert!(error.contains("it is a table, not a collection"), "{error}");
    assert!(db.collection("").insert_one("{}").is_err());
}

#[test]
fn updates_replacements_and_deletions() {
    let db = people();
    let people = db.collection("people");
    let raise = Update::parse(r#"{"$inc": {"age": 1}}"#).unwrap();
    let outcome = wait!(db, people.update_many(&filter(r#"{"age": {"$gt": 9}}"#), &raise)).unwrap();
    assert_eq!(outcome, UpdateResult { matched: 2, modified: 2 });
    let same = Update::parse(r#"{"$set": {"name": "Ada"}}"#).unwrap();
    let outcome = wait!(db, people.update_many(&filter(r#"{"_id": "a"}"#), &same)).unwrap();
    assert_eq!(outcome, UpdateResult { matched: 1, modified: 0 });
    assert_eq!(wait!(db, people.update_one(&all(), &raise)).unwrap().matched, 1);
    let wrong = Update::parse(r#"{"$inc": {"name": 1}}"#).unwrap();
    assert_eq!(wait!(db, people.update_many(&all(), &wrong)).unwrap_err().kind(), ErrorKind::Invalid);
    wait!(db, people.replace_one(&filter(r#"{"_id": "b"}"#), r#"{"new": true}"#)).unwrap();
    assert_eq!(
        found(&db, "people", &filter(r#"{"new": true}"#), &FindOptions::default()),
        [r#"{"_id":"b","new":true}"#]
    );
    assert_eq!(wait!(db, people.delete_one(&filter(r#"{"_id": "b"}"#))).unwrap(), 1);
    assert_eq!(wait!(db, people.delete_one(&filter(r#"{"_id": "b"}"#))).unwrap(), 0);
    assert_eq!(wait!(db, people.delete_many(&all())).unwrap(), 2);
    assert_eq!(wait!(db, people.count(&all())).unwrap(), 0);
}

#[test]
fn concurrent_increments_are_all_there() {
    const WRITERS: usize = 4;
    const EACH: usize = 10;
    let db = Database::in_memory().unwrap();
    db.collection("counters").insert_one(r#"{"_id": "n", "value": 0}"#).unwrap();
    let one = Update::parse(r#"{"$inc": {"value": 1}}"#).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                for _ in 0..EACH {
                    let outcome =
                        db.runtime().unwrap().block_on(db.collection("counters").update_one(&all(), &one));
                    assert_eq!(outcome.unwrap().modified, 1);
                }
            });
        }
    });
    let want = format!("{{\"_id\":\"n\",\"value\":{}}}", WRITERS * EACH);
    assert_eq!(found(&db, "counters", &all(), &FindOptions::default()), [want]);
}

/// A plain reading of the manual on JSON trees, sharing no code with the real one.
mod manual {
    use super::Json;
    use std::cmp::Ordering;

    pub(super) fn matches(document: &Json, filter: &Json) -> bool {
        filter.as_object().unwrap().iter().all(|(name, wanted)| {
            let each = || wanted.as_array().unwrap().iter().map(|filter| matches(document, filter));
            match name.as_str() {
                "$and" => each().all(|holds| holds),
                "$or" => each().any(|holds| holds),
                "$nor" => !each().any(|holds| holds),
                path => field(&reach(Some(document), &path.split('.').collect::<Vec<_>>()), wanted),
            }
        })
    }

    /// Every value at the path; `None` for a missing field.
    fn reach<'a>(value: Option<&'a Json>, steps: &[&str]) -> Vec<Option<&'a Json>> {
        let Some((step, rest)) = steps.split_first() else { return vec![value] };
        match value {
            Some(Json::Object(fields)) => match fields.get(*step) {
                Some(field) => reach(Some(field), rest),
                None => vec![None],
            },
            Some(Json::Array(items)) => {
                let mut found: Vec<_> = items
                    .iter()
                    .filter(|item| item.is_object())
                    .flat_map(|item| reach(Some(item), steps))
                    .collect();
                if let Some(item) = step.parse::<usize>().ok().and_then(|at| items.get(at))
                    && (rest.is_empty() || item.is_object() || item.is_array())
                {
                    found.extend(reach(Some(item), rest));
                }
                found
            }
            _ => vec![None],
        }
    }

    fn field(found: &[Option<&Json>], wanted: &Json) -> bool {
        match wanted.as_object().filter(|fields| fields.keys().any(|name| name.starts_with('$'))) {
            Some(operators) => operators.iter().all(|(operator, operand)| operated(found, operator, operand)),
            None => operated(found, "$eq", wanted),
        }
    }

    fn operated(found: &[Option<&Json>], operator: &str, operand: &Json) -> bool {
        let any = |test: &dyn Fn(&Json) -> bool| {
            found.iter().any(|value| match value {
                None => test(&Json::Null),
                Some(whole @ Json::Array(items)) => test(whole) || items.iter().any(test),
                Some(value) => test(value),
            })
        };
        let ordered = |holds: fn(Ordering) -> bool| any(&|value| order(value, operand).is_some_and(holds));
        let listed = |value: &Json| {
            operand.as_array().unwrap().iter().any(|item| order(value, item) == Some(Ordering::Equal))
        };
        match operator {
            "$eq" => ordered(Ordering::is_eq),
            "$ne" => !ordered(Ordering::is_eq),
            "$gt" => ordered(Ordering::is_gt),
            "$gte" => ordered(Ordering::is_ge),
            "$lt" => ordered(Ordering::is_lt),
            "$lte" => ordered(Ordering::is_le),
            "$in" => any(&listed),
            "$nin" => !any(&listed),
            "$exists" => found.iter().any(Option::is_some) == operand.as_bool().unwrap(),
            "$not" => !field(found, operand),
            other => panic!("{other}"),
        }
    }

    fn rank(value: &Json) -> usize {
        match value {
            Json::Null => 0,
            Json::Number(_) => 1,
            Json::String(_) => 2,
            Json::Object(_) => 3,
            Json::Array(_) => 4,
            Json::Bool(_) => 5,
        }
    }

    /// `None` between values of different kinds.
    fn order(a: &Json, b: &Json) -> Option<Ordering> {
        (rank(a) == rank(b)).then(|| total(a, b))
    }

    fn total(a: &Json, b: &Json) -> Ordering {
        match (a, b) {
            (Json::Number(a), Json::Number(b)) => a.as_f64().unwrap().total_cmp(&b.as_f64().unwrap()),
            (Json::String(a), Json::String(b)) => a.cmp(b),
            (Json::Bool(a), Json::Bool(b)) => a.cmp(b),
            (Json::Array(a), Json::Array(b)) => {
                let items = a.iter().zip(b).map(|(a, b)| total(a, b)).find(|order| order.is_ne());
                items.unwrap_or_else(|| a.len().cmp(&b.len()))
            }
            (Json::Object(a), Json::Object(b)) => {
                let fields = a.iter().zip(b).map(|((x, a), (y, b))| {
                    rank(a).cmp(&rank(b)).then_with(|| x.cmp(y)).then_with(|| total(a, b))
                });
                let first = fields.into_iter().find(|order| order.is_ne());
                first.unwrap_or_else(|| a.len().cmp(&b.len()))
            }
            _ => rank(a).cmp(&rank(b)),
        }
    }
}

fn any_value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        (0..3i64).prop_map(Json::from),
        Just(json!(1.5)),
        "[ab]{0,1}".prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Json::from),
            prop::collection::btree_map("[ab]", inner, 0..3)
                .prop_map(|fields| Json::Object(fields.into_iter().collect())),
        ]
    })
}

fn any_filter() -> impl Strategy<Value = Json> {
    let path = prop::sample::select(vec!["a", "b", "a.b", "a.a", "b.0", "a.0.b", "b.a.b", "_id"]);
    let compared = || {
        (prop::sample::select(vec!["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]), any_value())
            .prop_map(|(operator, operand)| json!({ operator: operand }))
    };
    let listed = (prop::sample::select(vec!["$in", "$nin"]), prop::collection::vec(any_value(), 0..3))
        .prop_map(|(operator, operands)| json!({ operator: operands }));
    let test = prop_oneof![
        any_value(),
        compared(),
        listed,
        any::<bool>().prop_map(|exists| json!({ "$exists": exists })),
        compared().prop_map(|test| json!({ "$not": test })),
    ];
    let one = (path, test).prop_map(|(path, test)| json!({ path: test }));
    one.prop_recursive(2, 6, 3, |inner| {
        (prop::sample::select(vec!["$and", "$or", "$nor"]), prop::collection::vec(inner, 1..3))
            .prop_map(|(operator, filters)| json!({ operator: filters }))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn filters_do_what_the_manual_says(
        values in prop::collection::vec((any_value(), any_value()), 1..20),
        filters in prop::collection::vec(any_filter(), 1..8),
    ) {
        let db = Database::in_memory().unwrap();
        let documents: Vec<Json> =
            values.into_iter().enumerate().map(|(at, (a, b))| json!({ "_id": format!("{at:02}"), "a": a, "b": b })).collect();
        db.collection("c").insert_many(documents.iter().cloned()).unwrap();
        for json in filters {
            let want: BTreeSet<String> = documents.iter().filter(|document| manual::matches(document, &json)).map(|document| document["_id"].to_string()).collect();
            let texts = found(&db, "c", &Filter::parse(json.clone()).unwrap(), &FindOptions::default());
            let got: BTreeSet<String> = texts.iter().map(|text| serde_json::from_str::<Json>(text).unwrap()["_id"].to_string()).collect();
            prop_assert_eq!(got, want, "{}", json);
        }
    }
}

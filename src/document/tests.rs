//! Filters, updates, projections and orders, case by case, as MongoDB's manual has them.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use parquet_variant::Variant;
use trilith_engine::ErrorKind;

use super::path::Path;
use super::sort::key;
use super::update::replacement;
use super::*;

fn value(json: &str) -> Value {
    Value::from_json(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

fn invalid(outcome: crate::Result<impl std::fmt::Debug>) -> String {
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    error.to_string()
}

#[test]
fn values_keep_every_type() {
    for json in
        ["null", "true", "12", "-1.5", "\"é\"", "[1,[2]]", r#"{"a":{"b":[]}}"#, "99999999999999999999"]
    {
        assert_eq!(value(json).to_json().unwrap(), json);
    }
    let date = Variant::Date(chrono::NaiveDate::from_ymd_opt(2026, 2, 28).unwrap());
    let (metadata, bytes) = Value::Scalar(date.clone()).encode().unwrap();
    assert_eq!(Value::from_variant(&Variant::new(&metadata, &bytes)), Value::Scalar(date));
}

#[test]
fn filters_refuse_what_they_do_not_know() {
    for (filter, part) in [
        (
            r#"{"a": {"$regex": "x"}}"#,
            "filter operator $regex: it is not known; a field is tested by $eq, $ne",
        ),
        (r#"{"$where": "1"}"#, "filter operator $where"),
        (r#"{"$and": []}"#, "$and: it takes a list"),
        (r#"{"$or": {"a": 1}}"#, "$or: it takes a list"),
        (r#"{"a": {"$in": 1}}"#, "$in: it takes a list of values, not 1"),
        (r#"{"a": {"$exists": "yes"}}"#, "$exists: it takes true or false"),
        (r#"{"a": {"$not": 1}}"#, "$not: it takes operators"),
        (r#"{"a": {"$gt": 1, "b": 2}}"#, "filter operator b"),
        (r#"{"a..b": 1}"#, "empty step"),
        (r#"{"a.$b": 1}"#, "$b is an operator"),
        ("[1]", "must be an object"),
        ("{", "invalid JSON"),
    ] {
        let message = invalid(Filter::parse(filter));
        assert!(message.contains(part), "{filter}: {message}");
    }
    let many: Vec<String> = (0..1_001).map(|i| format!("{{\"a\": {i}}}")).collect();
    let error = Filter::parse(format!("{{\"$or\": [{}]}}", many.join(",")).as_str()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
}

#[test]
fn updates_change_what_they_name() {
    for (document, update, want) in [
        (r#"{"a":1}"#, r#"{"$set":{"b":2}}"#, r#"{"a":1,"b":2}"#),
        (r#"{"a":1}"#, r#"{"$set":{"a.b.c":2}}"#, "a is no object"),
        (r#"{}"#, r#"{"$set":{"a.b.c":2}}"#, r#"{"a":{"b":{"c":2}}}"#),
        (r#"{"a":[1,2]}"#, r#"{"$set":{"a.1":9}}"#, r#"{"a":[1,9]}"#),
        (r#"{"a":[1]}"#, r#"{"$set":{"a.3":9}}"#, r#"{"a":[1,null,null,9]}"#),
        (r#"{"a":[1]}"#, r#"{"$set":{"a.x":9}}"#, "no position"),
        (r#"{"a":[1]}"#, r#"{"$set":{"a.99999999":9}}"#, "far beyond"),
        (r#"{"a":1,"b":2}"#, r#"{"$unset":{"a":""}}"#, r#"{"b":2}"#),
        (r#"{"a":[1,2]}"#, r#"{"$unset":{"a.0":""}}"#, r#"{"a":[null,2]}"#),
        (r#"{"a":1}"#, r#"{"$unset":{"x.y":""}}"#, r#"{"a":1}"#),
        (r#"{"a":1}"#, r#"{"$inc":{"a":2,"b":5}}"#, r#"{"a":3,"b":5}"#),
        (r#"{"a":1}"#, r#"{"$inc":{"a":0.5}}"#, r#"{"a":1.5}"#),
        (r#"{"a":127}"#, r#"{"$inc":{"a":1}}"#, r#"{"a":128}"#),
        (r#"{"a":9223372036854775807}"#, r#"{"$inc":{"a":1}}"#, r#"{"a":9223372036854775808}"#),
        (r#"{"a":"x"}"#, r#"{"$inc":{"a":1}}"#, "it holds text, not a number"),
        (r#"{"a":[1]}"#, r#"{"$push":{"a":[2]}}"#, r#"{"a":[1,[2]]}"#),
        (r#"{}"#, r#"{"$push":{"a":{"$each":[1,2]}}}"#, r#"{"a":[1,2]}"#),
        (r#"{"a":1}"#, r#"{"$push":{"a":2}}"#, "it holds a number, not a list"),
        (r#"{"a":1}"#, r#"{"$rename":{"a":"b.c"}}"#, r#"{"b":{"c":1}}"#),
        (r#"{"a":1}"#, r#"{"$rename":{"x":"b"}}"#, r#"{"a":1}"#),
    ] {
        let outcome = Update::parse(update).unwrap().apply(&value(document));
        match outcome {
            Ok(changed) => assert_eq!(changed.to_json().unwrap(), want, "{document} {update}"),
            Err(error) if want.starts_with('{') => panic!("{document} {update}: {error}"),
            Err(error) if want == "a is no object" => {
                assert!(error.to_string().contains("a field of a number"))
            }
            Err(error) => assert!(error.to_string().contains(want), "{document} {update}: {error}"),
        }
    }
}

#[test]
fn updates_refuse_what_they_do_not_know() {
    for (update, part) in [
        (
            r#"{"$pull":{"a":1}}"#,
            "update operator $pull: it is not known; there are $set, $unset, $inc, $push, $rename",
        ),
        (r#"{"a":1}"#, "update operator a: it is a field"),
        ("{}", "it is empty"),
        (r#"{"$set":1}"#, "it takes an object of fields"),
        (r#"{"$set":{"_id":1}}"#, "an _id never changes"),
        (r#"{"$rename":{"a":"_id"}}"#, "an _id never changes"),
        (r#"{"$set":{"a":1},"$inc":{"a":1}}"#, "conflicts"),
        (r#"{"$set":{"a":1,"a.b":1}}"#, "conflicts"),
        (r#"{"$rename":{"a":"b"},"$set":{"b":1}}"#, "conflicts"),
        (r#"{"$inc":{"a":"x"}}"#, "it adds a number"),
        (r#"{"$push":{"a":{"$slice":1}}}"#, "$slice is not known"),
        (r#"{"$rename":{"a":1}}"#, "the new name"),
    ] {
        let message = invalid(Update::parse(update));
        assert!(message.contains(part), "{update}: {message}");
    }
}

#[test]
fn a_replacement_keeps_the_id() {
    let old = value(r#"{"_id":"x","a":1}"#);
    assert_eq!(replacement(&value(r#"{"b":2}"#), &old).unwrap(), value(r#"{"_id":"x","b":2}"#));
    assert_eq!(replacement(&value(r#"{"_id":"x"}"#), &old).unwrap(), value(r#"{"_id":"x"}"#));
    assert!(invalid(replacement(&value(r#"{"_id":"y"}"#), &old)).contains("an _id never changes"));
    assert!(invalid(replacement(&value(r#"{"$set":{}}"#), &old)).contains("$set is an operator"));
    assert!(invalid(replacement(&value("1"), &old)).contains("must be an object"));
}

#[test]
fn projections_cut() {
    let document = r#"{"_id":1,"a":{"b":1,"c":[{"d":1,"e":2},3]},"f":2}"#;
    for (projection, want) in [
        (r#"{"f":1}"#, r#"{"_id":1,"f":2}"#),
        (r#"{"f":1,"_id":0}"#, r#"{"f":2}"#),
        (r#"{"a.c.d":true}"#, r#"{"_id":1,"a":{"c":[{"d":1}]}}"#),
        (r#"{"f.x":1}"#, r#"{"_id":1}"#),
        (r#"{"a":0}"#, r#"{"_id":1,"f":2}"#),
        (r#"{"a.c.d":0,"_id":0}"#, r#"{"a":{"b":1,"c":[{"e":2},3]},"f":2}"#),
        (r#"{"_id":0}"#, r#"{"a":{"b":1,"c":[{"d":1,"e":2},3]},"f":2}"#),
        (r#"{"_id":1}"#, r#"{"_id":1}"#),
        ("{}", document),
    ] {
        let cut = Projection::parse(projection).unwrap().apply(value(document));
        assert_eq!(cut.to_json().unwrap(), want, "{projection}");
    }
    assert!(invalid(Projection::parse(r#"{"a":1,"b":0}"#)).contains("choose one"));
    assert!(invalid(Projection::parse(r#"{"a":"x"}"#)).contains("it takes 1"));
}

#[test]
fn orders_go_by_kind_then_value() {
    let ascending = [
        r#"{"a":[]}"#,
        r#"{"a":null}"#,
        r#"{"a":-1e300}"#,
        r#"{"a":-2}"#,
        r#"{"a":-1.5}"#,
        r#"{"a":0}"#,
        r#"{"a":[7,1]}"#,
        r#"{"a":9007199254740992}"#,
        r#"{"a":9007199254740993}"#,
        r#"{"a":""}"#,
        r#"{"a":"a"}"#,
        "{\"a\":\"a\\u0000\"}",
        r#"{"a":"ab"}"#,
        r#"{"a":{}}"#,
        r#"{"a":{"x":1}}"#,
        r#"{"a":{"x":1,"y":1}}"#,
        r#"{"a":[[1]]}"#,
        r#"{"a":false}"#,
        r#"{"a":true}"#,
    ];
    let path = Path::parse("a").unwrap();
    let of = |json: &str, direction| {
        let (metadata, bytes) = value(json).encode().unwrap();
        key(Some(&Variant::new(&metadata, &bytes)), &path, direction)
    };
    let keys: Vec<Vec<u8>> = ascending.iter().map(|json| of(json, Direction::Ascending)).collect();
    for (at, pair) in keys.windows(2).enumerate() {
        assert!(pair[0] < pair[1], "{} and {}", ascending[at], ascending[at + 1]);
    }
    assert_eq!(of("{}", Direction::Ascending), of(r#"{"a":null}"#, Direction::Ascending));
    assert_eq!(of(r#"{"a":[7,1]}"#, Direction::Descending), of(r#"{"a":7}"#, Direction::Descending));
    assert_eq!(of(r#"{"a":[{"b":1}]}"#, Direction::Ascending), of(r#"{"a":{"b":1}}"#, Direction::Ascending));
}

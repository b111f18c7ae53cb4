//! SQL over documents, through a DataFusion session.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::session::{failure, register, rows, session, try_rows, value};
use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Int64Array, StructArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use datafusion::prelude::SessionContext;
use parquet_variant_compute::{VariantArray, VariantType, json_to_variant};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;

const DOCUMENTS: [Option<&str>; 5] = [
    Some(
        r#"{"name": "Ada", "age": 36, "meta": {"tags": ["x", "y"], "ok": true, "score": 1.5}, "none": null}"#,
    ),
    Some(r#"{"name": "Bob \"B\"", "age": 7.0, "meta": {"tags": [], "ok": false}}"#),
    Some("[10, 20, [30, {\"a\": 40}]]"),
    None,
    Some("18446744073709551615"),
];

/// Table `t`: `id`, the VARIANT column `doc` and the text column `js`.
fn table() -> SessionContext {
    let session = session();
    let doc = variant_array_from_json(DOCUMENTS).unwrap();
    let id =
        (Field::new("id", DataType::Int64, false), Arc::new(Int64Array::from_iter_values(0..5)) as ArrayRef);
    let js = (Field::new("js", DataType::Utf8, true), variant_to_json(&doc).unwrap());
    register(&session, "t", vec![id, (variant_field("doc", true), Arc::new(doc)), js]);
    session
}

#[test]
fn the_layout_is_what_the_format_reads() {
    let array = variant_array_from_json(DOCUMENTS).unwrap();
    assert_eq!(array.data_type(), &variant_data_type());
    assert!(is_variant(array.data_type()));
    assert!(variant_field("doc", true).has_valid_extension_type::<VariantType>());
    let read = VariantArray::try_new(&array).unwrap();
    assert!(read.is_null(3));
    assert!(!is_variant(&DataType::Struct(vec![Field::new("metadata", DataType::Binary, false)].into())));
    for other in [DataType::Utf8, DataType::Int32] {
        assert!(!is_variant(&other));
    }
}

#[test]
fn foreign_layouts_are_read() {
    let text: ArrayRef = Arc::new(arrow::array::StringArray::from(vec![r#"{"a": {"b": 1}}"#]));
    let views: ArrayRef = json_to_variant(&text).unwrap().into();
    let session = session();
    register(&session, "t", vec![(Field::new("doc", views.data_type().clone(), true), views)]);
    assert_eq!(value(&session, "SELECT doc->'a'->>'b' FROM t"), "1");
}

#[test]
fn steps_lead_into_documents_and_text_alike() {
    let session = table();
    for column in ["doc", "js"] {
        for (path, want) in [
            ("->>'name'", ["Ada", "Bob \"B\"", "NULL", "NULL", "NULL"]),
            ("->>'age'", ["36", "7", "NULL", "NULL", "NULL"]),
            ("->>'none'", ["NULL"; 5]),
            ("->>'missing'", ["NULL"; 5]),
            ("->'meta'->>'ok'", ["true", "false", "NULL", "NULL", "NULL"]),
            ("->'meta'->>'tags'", [r#"["x","y"]"#, "[]", "NULL", "NULL", "NULL"]),
            ("->'meta'->'tags'->>0", ["x", "NULL", "NULL", "NULL", "NULL"]),
            ("->'meta'->'tags'->>-1", ["y", "NULL", "NULL", "NULL", "NULL"]),
            ("->2->1->>'a'", ["NULL", "NULL", "40", "NULL", "NULL"]),
            ("->>9", ["NULL"; 5]),
        ] {
            assert_eq!(
                rows(&session, &format!("SELECT {column}{path} FROM t ORDER BY id")),
                want,
                "{column}{path}"
            );
        }
    }
}

#[test]
fn field_access_reads_documents() {
    let session = table();
    for expression in
        ["doc['meta']['tags'][0]", "doc.meta.tags[0]", "t.doc.meta.tags[0]", "doc->'meta'->'tags'->0"]
    {
        let sql = format!("SELECT to_json({expression}) FROM t WHERE id = 0");
        assert_eq!(value(&session, &sql), "\"x\"", "{expression}");
    }
    assert_eq!(value(&session, "SELECT named_struct('a', 1)['a'], [5, 6][1]"), "1|5");
}

#[test]
fn steps_bind_stronger_than_anything_around_them() {
    let session = table();
    assert_eq!(value(&session, "SELECT id FROM t WHERE doc->>'name' = 'Ada' AND id < 9"), "0");
    assert_eq!(value(&session, "SELECT doc->>'name' || '!' FROM t WHERE id = 0"), "Ada!");
    assert_eq!(value(&session, "SELECT json_get_int(doc->'age') + 1 FROM t WHERE id = 0"), "37");
    assert_eq!(value(&session, "SELECT (doc->>'age')::int FROM t WHERE id = 0"), "36");
    assert_eq!(value(&session, "SELECT count(*) FROM t WHERE doc->>'name' IS NOT NULL"), "2");
    assert_eq!(value(&session, "SELECT id FROM t WHERE doc->>'name' LIKE 'A%'"), "0");
}

#[test]
fn a_document_next_to_a_scalar_is_read_as_one() {
    let session = table();
    for (condition, want) in [
        ("doc.age > 7", "0"),
        ("7 = doc.age", "1"),
        ("doc.age + 1 = 8", "1"),
        ("doc.name = 'Ada'", "0"),
        ("doc.meta.ok = true", "0"),
        ("doc.meta.score * 2 >= 3.0", "0"),
        ("doc->'name' || '!' = 'Ada!'", "0"),
        ("doc->>'age' > '30'", "0; 1"),
        ("doc->>'age' < 30", "1"),
        ("doc.missing = 1", ""),
        ("doc.name = 1", ""),
        ("parse_json('9007199254740993') = 9007199254740993 AND id = 0", "0"),
        ("parse_json('9007199254740993') = 9007199254740992 AND id = 0", ""),
        ("parse_json('9007199254740993') > 9007199254740992 AND id = 0", "0"),
    ] {
        assert_eq!(
            value(&session, &format!("SELECT id FROM t WHERE {condition} ORDER BY id")),
            want,
            "{condition}"
        );
    }
}

#[test]
fn a_chain_is_one_call() {
    let session = table();
    let plan = value(&session, "EXPLAIN SELECT doc->'meta'->'tags'->>0 FROM t");
    assert!(plan.contains("json_as_text(t.doc, Utf8(\"meta\"), Utf8(\"tags\"), Int64(0))"), "{plan}");
}

#[test]
fn keys_may_be_columns() {
    let session = table();
    assert_eq!(rows(&session, "SELECT doc->>id FROM t WHERE id = 2"), [r#"[30,{"a":40}]"#]);
    assert_eq!(
        rows(
            &session,
            "SELECT json_as_text(doc, CASE WHEN id = 0 THEN 'name' ELSE 'age' END) FROM t WHERE id < 2 ORDER BY id"
        ),
        ["Ada", "7"]
    );
}

#[test]
fn values_of_one_kind_or_null() {
    let session = table();
    let all = "json_get_int(doc, 'age'), json_get_float(doc, 'meta', 'score'), json_get_bool(doc, 'meta', 'ok'), json_get_str(doc, 'age')";
    assert_eq!(
        rows(&session, &format!("SELECT {all} FROM t WHERE id < 2 ORDER BY id")),
        ["36|1.5|true|NULL", "7|NULL|false|NULL"]
    );
    assert_eq!(
        value(&session, "SELECT json_get_int(doc), json_get_float(doc) FROM t WHERE id = 4"),
        "NULL|1.8446744073709552e19"
    );
    assert_eq!(
        value(
            &session,
            "SELECT json_get_int('9.5'), json_get_int('1e3'), json_get_int('\"5\"'), json_get_int('-9223372036854775808')"
        ),
        "NULL|1000|NULL|-9223372036854775808"
    );
}

#[test]
fn measures() {
    let session = table();
    assert_eq!(
        rows(&session, "SELECT json_length(doc), variant_typeof(doc) FROM t ORDER BY id"),
        ["4|object", "3|object", "3|array", "NULL|NULL", "NULL|decimal"]
    );
    assert_eq!(value(&session, "SELECT json_keys(doc, 'meta') FROM t WHERE id = 0"), "[ok, score, tags]");
    assert_eq!(value(&session, "SELECT json_keys(doc) FROM t WHERE id = 2"), "NULL");
    let kinds = "null=null true=boolean 1=integer 1.5=double \"s\"=string {}=object []=array 99999999999999999999999=decimal 1e2=double";
    for kind in kinds.split(' ') {
        let (json, name) = kind.split_once('=').unwrap();
        assert_eq!(value(&session, &format!("SELECT variant_typeof(parse_json('{json}'))")), name);
    }
}

#[test]
fn containment_is_postgres_rule() {
    let session = session();
    for (whole, part, want) in [
        (r#"{"a":1,"b":{"c":[1,2,3]}}"#, r#"{"b":{"c":[3,1]}}"#, "true"),
        (r#"{"a":1}"#, r#"{"a":1.0}"#, "true"),
        (r#"{"a":1}"#, r#"{"a":2}"#, "false"),
        (r#"{"a":1}"#, r#"{"a":1,"b":2}"#, "false"),
        ("[1,[2]]", "[[2]]", "true"),
        ("[1,2]", "2", "true"),
        ("[[1,2]]", "2", "false"),
        (r#"["foo", "bar"]"#, r#""bar""#, "true"),
        ("2", "[2]", "false"),
        ("null", "null", "true"),
        (r#"{"a":null}"#, r#"{"a":null}"#, "true"),
    ] {
        let function = format!("SELECT json_contains('{whole}', '{part}')");
        assert_eq!(value(&session, &function), want, "{function}");
        let operator = format!(
            "SELECT parse_json('{whole}') @> parse_json('{part}') AS a, parse_json('{part}') <@ parse_json('{whole}') AS b"
        );
        assert_eq!(value(&session, &operator), format!("{want}|{want}"), "{operator}");
    }
}

#[test]
fn typed_paths() {
    let session = table();
    let got = rows(
        &session,
        "SELECT variant_get(doc, 'age', 'bigint'), variant_get(doc, '$.meta.score', 'double'), variant_get(doc, 'name', 'text') FROM t WHERE id < 2 ORDER BY id",
    );
    assert_eq!(got, ["36|1.5|Ada", "7|NULL|Bob \"B\""]);
    assert_eq!(
        value(&session, "SELECT to_json(variant_get(doc, 'meta.tags[1]')) FROM t WHERE id = 0"),
        "\"y\""
    );
    assert_eq!(value(&session, "SELECT variant_get(js, 'meta.ok', 'boolean') FROM t WHERE id = 0"), "true");
    assert_eq!(value(&session, "SELECT variant_get(doc, 'missing') IS NULL FROM t WHERE id = 0"), "true");
    for (sql, part) in [
        ("SELECT variant_get(doc, 'a[', 'text') FROM t", "path 'a['"),
        ("SELECT variant_get(doc, 'a', 'elephant') FROM t", "'elephant'"),
        ("SELECT variant_get(doc, js) FROM t", "path must be a text literal"),
    ] {
        assert!(failure(&session, sql).contains(part), "{}", failure(&session, sql));
    }
}

#[test]
fn fields_of_results_carry_the_extension_name() {
    let session = table();
    for expression in ["doc->'meta'", "parse_json(js)", "variant_get(doc, 'meta')", "to_variant(id)"] {
        let batches = try_rows(&session, &format!("SELECT {expression} AS v FROM t")).unwrap();
        let schema = batches[0].schema();
        assert_eq!(schema.field(0).extension_type_name(), Some("arrow.parquet.variant"), "{expression}");
        assert_eq!(schema.field(0).data_type(), &variant_data_type(), "{expression}");
    }
}

#[test]
fn any_value_becomes_a_variant() {
    let session = session();
    let sql = "SELECT to_json(to_variant(named_struct('a', 1, 'b', ['x', NULL], 'c', 1.5)))";
    assert_eq!(value(&session, sql), r#"{"a":1,"b":["x",null],"c":1.5}"#);
    assert_eq!(value(&session, "SELECT to_json(to_variant(NULL)) IS NULL"), "true");
}

#[test]
fn wrong_input_is_named() {
    let session = table();
    for (sql, part) in [
        ("SELECT parse_json('{\"a\":')", "invalid JSON '{\"a\":'"),
        ("SELECT js->'a' FROM (SELECT 'nope' AS js)", "invalid JSON 'nope'"),
        ("SELECT json_get(id, 'a') FROM t", "expected VARIANT or JSON text, got a value of type Int64"),
        ("SELECT json_get(doc, 1.5) FROM t", "a key is a field name or a list position"),
        ("SELECT json_get()", "json_get"),
    ] {
        let message = failure(&session, sql);
        assert!(message.contains(part), "{sql}: {message}");
    }
    let deep = format!("SELECT parse_json('{}{}')", "[".repeat(5000), "]".repeat(5000));
    assert!(failure(&session, &deep).contains("nested deeper than 128"));
}

#[test]
fn damaged_bytes_are_an_error() {
    let session = session();
    let bytes = |bytes: &[u8]| Arc::new(BinaryArray::from(vec![bytes])) as ArrayRef;
    let DataType::Struct(children) = variant_data_type() else { unreachable!() };
    for (metadata, value) in [
        (&b"\x01\x00\x00"[..], &b"\x02\xff\xff"[..]),
        (b"", b""),
        (b"\xff\xff", b"\x00"),
        (b"\x01\x00\x00", b"\x02\x01\x00\x00\x01\x00"),
    ] {
        let array = StructArray::new(children.clone(), vec![bytes(metadata), bytes(value)], None);
        let _ = session.deregister_table("t").unwrap();
        register(&session, "t", vec![(variant_field("doc", true), Arc::new(array))]);
        for sql in [
            "SELECT doc->>'a' FROM t",
            "SELECT to_json(doc) FROM t",
            "SELECT json_keys(doc) FROM t",
            "SELECT doc @> doc FROM t",
        ] {
            assert!(try_rows(&session, sql).is_err(), "{sql}");
        }
    }
}

#[test]
fn json_text_of_views_and_large_strings() {
    let texts: ArrayRef = Arc::new(arrow::array::StringArray::from(vec![Some("{\"a\": 1}"), None]));
    let session = session();
    for data_type in [DataType::Utf8View, DataType::LargeUtf8] {
        let array = cast(&texts, &data_type).unwrap();
        let _ = session.deregister_table("t").unwrap();
        register(&session, "t", vec![(Field::new("js", data_type, true), array)]);
        assert_eq!(
            rows(&session, "SELECT js->>'a', to_json(parse_json(js)) FROM t"),
            ["1|{\"a\":1}", "NULL|NULL"]
        );
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1_000_000_000i64..1_000_000_000).prop_map(|number| json!(number as f64 + 0.5)),
        ".{0,80}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[a-e]{0,3}", inner, 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn stored(text: &str) -> Option<String> {
    let column = variant_array_from_json([Some(text)]).ok()?;
    Some(variant_to_json(&column).unwrap().as_string::<i32>().value(0).to_string())
}

#[test]
fn json_text_is_read_strictly() {
    for (text, want) in [
        (" [1 , 2\t,\r\n3 ] ", "[1,2,3]"),
        (r#"{"a":1,"b":2,"a":3}"#, r#"{"a":3,"b":2}"#),
        (r#""\u00e9\ud83d\ude00\n\/\"""#, "\"é😀\\n/\\\"\""),
        ("-0", "0"),
        ("1E3", "1000"),
        ("-101255171.85231313", "-101255171.85231313"),
        ("99999999999999999999999999999999999999", "99999999999999999999999999999999999999"),
        ("[]", "[]"),
        ("{ }", "{}"),
        ("\"\"", "\"\""),
    ] {
        assert_eq!(stored(text).as_deref(), Some(want), "{text}");
    }
    for text in [
        "",
        " ",
        "nul",
        "nulll",
        "tru",
        "[1,]",
        "[,1]",
        "[1",
        "{",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "'a'",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "+1",
        "0x1",
        "NaN",
        "1e999",
        "\"a",
        "\"\u{1}\"",
        r#""\x""#,
        r#""\u12""#,
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\ud800\u0041""#,
        "[1]2",
        "\u{feff}1",
        r#""\u00é""#,
    ] {
        assert_eq!(stored(text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_json_exactly_when_serde_says_so(text in r#"[\[\]{}:,"\\ 0-9a-fnulrtse.+-]{0,12}"#) {
        let serde = serde_json::from_str::<Value>(&text).is_ok();
        prop_assert_eq!(stored(&text).is_some(), serde, "{}", text);
    }

    #[test]
    fn json_survives_the_round_trip(documents in prop::collection::vec(prop::option::of(any_json()), 0..8)) {
        let texts: Vec<Option<String>> = documents.iter().map(|json| json.as_ref().map(Value::to_string)).collect();
        let column = variant_array_from_json(texts.iter().map(Option::as_deref)).unwrap();
        let back = variant_to_json(&column).unwrap();
        let back: Vec<Option<Value>> =
            back.as_string::<i32>().iter().map(|text| text.map(|text| serde_json::from_str(text).unwrap())).collect();
        prop_assert_eq!(back, documents);
    }
}

//! The handle from outside: parameters, lent objects, races, limits, what a caller may do wrong.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::catalog::MemTable;
use datafusion::common::metadata::ScalarAndMetadata;
use datafusion::scalar::ScalarValue;

use datafusion::common::ParamValues;

use super::*;
use crate::error::ErrorKind;
use crate::table::ScanOptions;

fn memory() -> Database {
    Database::in_memory().unwrap()
}

fn values(database: &Database, sql: &str) -> Vec<i64> {
    use datafusion::arrow::array::AsArray;
    use datafusion::arrow::datatypes::Int64Type;
    let batches = database.sql_blocking(sql).unwrap();
    batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect()
}

fn kind(database: &Database, sql: &str) -> Option<ErrorKind> {
    database.sql_blocking(sql).err().map(|error| error.kind())
}

fn batch(ids: &[i64], names: &[&str]) -> RecordBatch {
    RecordBatch::try_from_iter([
        ("id", Arc::new(Int64Array::from(ids.to_vec())) as ArrayRef),
        ("name", Arc::new(StringArray::from(names.to_vec())) as ArrayRef),
    ])
    .unwrap()
}

fn items() -> Database {
    let database = memory();
    database.sql_blocking("CREATE TABLE items (id BIGINT PRIMARY KEY, name TEXT)").unwrap();
    database
}

#[test]
fn parameters_by_position_and_name() {
    let database = items();
    let insert = database.query("INSERT INTO items VALUES ($1, $2), ($3, 'b')").params(vec![
        ScalarValue::from(1_i64),
        ScalarValue::from("a"),
        ScalarValue::from(2_i64),
    ]);
    insert.collect_blocking().unwrap();
    let named = HashMap::from([("low".to_owned(), ScalarAndMetadata::from(ScalarValue::from(2_i64)))]);
    let found = database.query("SELECT name FROM items WHERE id >= $low").params(ParamValues::Map(named));
    assert_eq!(found.collect_blocking().unwrap()[0].num_rows(), 1);
    let update = database.query("UPDATE items SET name = $1 WHERE id = $2");
    update.params(vec![ScalarValue::from("z"), ScalarValue::from(2_i64)]).collect_blocking().unwrap();
    assert_eq!(values(&database, "SELECT id FROM items WHERE name = 'z'"), [2]);
    let delete = database.query("DELETE FROM items WHERE id = $1").params(vec![ScalarValue::from(1_i64)]);
    delete.collect_blocking().unwrap();
    assert_eq!(values(&database, "SELECT id FROM items"), [2]);
    let missing = database.query("SELECT $2").params(vec![ScalarValue::from(1_i64)]);
    assert!(missing.collect_blocking().is_err());
}

#[test]
fn lent_objects_are_tables_for_one_call() {
    let database = items();
    let rows = batch(&[7, 8], &["x", "y"]);
    let table = Arc::new(MemTable::try_new(rows.schema(), vec![vec![rows]]).unwrap());
    assert_eq!(database.unknown_tables("SELECT * FROM frame, items").unwrap(), ["frame"]);
    let insert = database.query("INSERT INTO items SELECT * FROM frame").table("frame", table.clone());
    insert.collect_blocking().unwrap();
    assert_eq!(values(&database, "SELECT id FROM items ORDER BY id"), [7, 8]);
    assert_eq!(kind(&database, "SELECT * FROM frame"), Some(ErrorKind::NotFound));
    let into = database.query("INSERT INTO frame VALUES (1, 'a')").table("frame", table);
    assert!(into.collect_blocking().is_err());
}

#[test]
fn table_handle_writes_and_reads() {
    let database = items();
    let table = database.table("items").unwrap();
    assert_eq!(table.append([batch(&[1, 2], &["a", "b"])]).unwrap(), 2);
    assert_eq!(table.append([batch(&[2], &["again"])]).unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(table.upsert([batch(&[2, 3], &["B", "c"])]).unwrap(), 2);
    let row = table.get(&[ScalarValue::from(2_i64)], Some(&["name"])).unwrap().unwrap();
    assert_eq!(row.column(0).as_ref(), &StringArray::from(vec!["B"]));
    assert!(table.get(&[ScalarValue::from(9_i64)], None).unwrap().is_none());
    let keys = Arc::new(Int64Array::from(vec![3, 9, 1])) as ArrayRef;
    let (found, places) = table.get_many(&[keys], None).unwrap();
    assert_eq!((found.num_rows(), places), (2, vec![Some(0), None, Some(1)]));
    let counted = table.clone();
    assert_eq!(database.block_on(async move { counted.count(Some("id > 1")).await }).unwrap(), 2);
    let deleted = table.clone();
    assert_eq!(database.block_on(async move { deleted.delete("name = 'B'").await }).unwrap(), 1);
    let options = ScanOptions { order_by: Some("id DESC".into()), limit: Some(1), ..ScanOptions::default() };
    let rows = database.block_on(async move { Ok(table.scan(options).await?.collect().await?) }).unwrap();
    assert!(pretty_format_batches(&rows).unwrap().to_string().contains("| 3  | c    |"));
    assert_eq!(database.table("missing").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(database.table("").unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn a_result_reads_the_snapshot_it_was_planned_on() {
    let database = items();
    database.sql_blocking("INSERT INTO items VALUES (1, 'a')").unwrap();
    let before = database.query("SELECT * FROM items").run_blocking().unwrap();
    database.sql_blocking("INSERT INTO items VALUES (2, 'b')").unwrap();
    database.sql_blocking("DELETE FROM items WHERE id = 1").unwrap();
    let rows = database.block_on(async move { Ok(before.collect().await?) }).unwrap();
    assert!(pretty_format_batches(&rows).unwrap().to_string().contains("| 1  | a    |"));
    assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 1);
}

#[test]
fn racing_statements_lose_nothing() {
    let database = memory();
    database.sql_blocking("CREATE TABLE counter (id BIGINT PRIMARY KEY, n BIGINT)").unwrap();
    database.sql_blocking("INSERT INTO counter VALUES (1, 0)").unwrap();
    let add = |database: Database| {
        move || {
            let mut done = 0;
            for _ in 0..20 {
                match database.sql_blocking("UPDATE counter SET n = n + 1 WHERE id = 1") {
                    Ok(_) => done += 1,
                    Err(error) => assert!(error.is_retryable(), "{error}"),
                }
            }
            done
        }
    };
    let threads: Vec<_> = (0..3).map(|_| std::thread::spawn(add(database.clone()))).collect();
    let done: i64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!(values(&database, "SELECT n FROM counter"), [done]);
    assert!(done > 0);
}

#[test]
fn deepest_statements_run_on_small_stacks() {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let database = items();
        let sum = vec!["1"; 999].join(" + ");
        let any = (0..330).map(|i| format!("id = {i}")).collect::<Vec<_>>().join(" OR ");
        let union = vec!["SELECT 1"; 200].join(" UNION ALL ");
        let brackets = format!("SELECT {}1{}", "(".repeat(60), ")".repeat(60));
        for sql in [format!("SELECT {sum}"), format!("SELECT * FROM items WHERE {any}"), union, brackets] {
            runtime.block_on(async { database.sql(&sql).await.unwrap().collect().await.unwrap() });
            database.sql_blocking(&sql).unwrap();
        }
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap().join().unwrap();
}

#[test]
fn errors_say_what_kind_they_are() {
    let database = items();
    for (sql, expected) in [
        ("SELECT * FROM missing", ErrorKind::NotFound),
        ("SELECT missing FROM items", ErrorKind::NotFound),
        ("CREATE TABLE items (a INT)", ErrorKind::AlreadyExists),
        ("SELEC 1", ErrorKind::Invalid),
        ("SELECT 1 / 0", ErrorKind::Invalid),
        ("SELECT no_such_function(1)", ErrorKind::Invalid),
        ("CREATE VIEW v AS SELECT 1", ErrorKind::Unsupported),
        ("INSERT INTO items VALUES (1, 'a', 2)", ErrorKind::Invalid),
        ("COPY items FROM '/no/such/file.csv'", ErrorKind::NotFound),
        ("SELECT * FROM trilith.missing", ErrorKind::NotFound),
    ] {
        assert_eq!(kind(&database, sql), Some(expected), "{sql}: {:?}", database.sql_blocking(sql).err());
    }
}

#[test]
fn a_failed_statement_leaves_nothing() {
    let database = items();
    database.sql_blocking("INSERT INTO items VALUES (5, 'five')").unwrap();
    for sql in [
        "INSERT INTO items SELECT value, 'x' FROM generate_series(1, 10)",
        "INSERT INTO items SELECT 100 / (3 - value), 'x' FROM generate_series(1, 5)",
        "UPDATE items SET id = 1 / (id - 5)",
        "CREATE TABLE copied (id BIGINT PRIMARY KEY) AS SELECT 1 FROM generate_series(1, 3)",
    ] {
        assert!(database.sql_blocking(sql).is_err(), "{sql}");
    }
    assert_eq!(values(&database, "SELECT id FROM items"), [5]);
    assert_eq!(database.table_names().unwrap(), [TableName::public("items")]);
}

#[test]
fn memory_limit_is_an_error() {
    let options = Options { memory_limit: Some(1 << 20), threads: Some(1), ..Options::default() };
    let database = Database::open_blocking(":memory:", options).unwrap();
    database
        .sql_blocking(
            "CREATE TABLE t AS SELECT value AS id, repeat('x', 100) AS pad FROM generate_series(1, 50000)",
        )
        .unwrap();
    assert_eq!(kind(&database, "UPDATE t SET pad = 'y'"), Some(ErrorKind::Limit));
    assert_eq!(values(&database, "SELECT count(*) FROM t WHERE pad = 'y'"), [0]);
}

#[test]
fn two_handles_of_one_path_are_one_database() {
    let folder = tempfile::tempdir().unwrap();
    let one = Database::open_blocking(folder.path(), Options::default()).unwrap();
    let two = Database::open_blocking(folder.path(), Options::default()).unwrap();
    one.sql_blocking("CREATE TABLE t (id BIGINT)").unwrap();
    two.sql_blocking("INSERT INTO t VALUES (1)").unwrap();
    assert_eq!(values(&one, "SELECT id FROM t"), [1]);
    one.close().unwrap();
    assert_eq!(kind(&two, "SELECT * FROM t"), Some(ErrorKind::Closed));
}

#[test]
fn a_session_is_datafusions_own() {
    let database = items();
    database.sql_blocking("INSERT INTO items VALUES (1, 'a')").unwrap();
    let session = database.session().unwrap();
    let rows = database
        .block_on(async move {
            session.sql("INSERT INTO items VALUES (2, 'b')").await?.collect().await?;
            let refused = session.sql("DELETE FROM items WHERE id IN (SELECT 1)").await?.collect().await;
            assert!(refused.is_err());
            Ok(session.table("items").await?.count().await?)
        })
        .unwrap();
    assert_eq!(rows, 1, "the session keeps its snapshot");
    assert_eq!(values(&database, "SELECT id FROM items ORDER BY id"), [1, 2]);
}

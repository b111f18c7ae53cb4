//! The command from its arguments to what it prints.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

struct Ran {
    status: i32,
    out: String,
    err: String,
}

fn run_with(arguments: &[&str], input: &str) -> Ran {
    let (mut out, mut err) = (vec![], vec![]);
    let mut console = Console { out: &mut out, err: &mut err, interactive: false };
    let status = run_on(["trilith"].iter().chain(arguments), &mut input.as_bytes(), &mut console);
    Ran { status, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
}

fn ran(arguments: &[&str]) -> String {
    let ran = run_with(arguments, "");
    assert_eq!(ran.status, 0, "{arguments:?}: {}", ran.err);
    ran.out
}

const ROWS: &str = "SELECT * FROM (VALUES (1, 'a|b', [1.5]), (2, NULL, NULL)) AS t(n, s, l)";

#[test]
fn every_text_format() {
    for (format, want) in [
        ("csv", "n,s,l\n1,a|b,[1.5]\n2,,\n"),
        ("tsv", "n\ts\tl\n1\ta|b\t[1.5]\n2\t\t\n"),
        ("json", "[{\"n\":1,\"s\":\"a|b\",\"l\":[1.5]},{\"n\":2,\"s\":null,\"l\":null}]\n"),
        ("ndjson", "{\"n\":1,\"s\":\"a|b\",\"l\":[1.5]}\n{\"n\":2,\"s\":null,\"l\":null}\n"),
        ("markdown", "| n | s | l |\n| --- | --- | --- |\n| 1 | a\\|b | [1.5] |\n| 2 |  |  |\n"),
        (
            "table",
            "+---+-----+-------+\n| n | s   | l     |\n+---+-----+-------+\n| 1 | a|b | [1.5] |\n| 2 |     |       |\n+---+-----+-------+\n",
        ),
    ] {
        assert_eq!(ran(&["--format", format, "-c", ROWS]), want, "{format}");
    }
}

#[test]
fn documents_are_json() {
    let sql = "SELECT parse_json('{\"a\": [1, null]}') AS d";
    assert_eq!(ran(&["--format", "ndjson", "-c", sql]), "{\"d\":{\"a\":[1,null]}}\n");
    assert_eq!(ran(&["--format", "csv", "-c", sql]), "d\n\"{\"\"a\"\":[1,null]}\"\n");
    assert!(ran(&[":memory:", sql]).contains("| {\"a\":[1,null]} |"));
}

#[test]
fn binary_formats_need_a_file() {
    let folder = tempfile::tempdir().unwrap();
    for format in ["arrow", "parquet"] {
        let refused = run_with(&["--format", format, "-c", ROWS], "");
        assert_eq!(refused.status, 2);
        assert!(refused.err.contains("--output FILE"), "{}", refused.err);
        let file = folder.path().join(format!("rows.{format}"));
        let file = file.to_str().unwrap();
        assert_eq!(ran(&["--format", format, "-o", file, "-c", ROWS]), "");
        let twice = run_with(&["--format", format, "-o", file, "-c", "SELECT 1; SELECT 2"], "");
        assert_eq!((twice.status, twice.err.contains("holds one result")), (1, true), "{}", twice.err);
    }
}

#[test]
fn a_database_survives_and_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.tri");
    let path = path.to_str().unwrap();
    ran(&[path, "CREATE TABLE t (n BIGINT); INSERT INTO t VALUES (1), (2)"]);
    assert_eq!(ran(&[path, "--format", "csv", "-c", "SELECT sum(n) AS s FROM t"]), "s\n3\n");
    assert_eq!(ran(&[path, "--read-only", "--format", "csv", "-c", "SELECT count(*) AS c FROM t"]), "c\n2\n");
    let refused = run_with(&[path, "--read-only", "-c", "INSERT INTO t VALUES (3)"], "");
    assert_eq!((refused.status, refused.err.contains("reading only")), (1, true), "{}", refused.err);
    assert!(ran(&["check", path]).contains("no damage"));
    let file = folder.path().join("t.parquet");
    ran(&["export", path, "t", file.to_str().unwrap()]);
    ran(&["import", path, "t", file.to_str().unwrap()]);
    assert_eq!(ran(&[path, "--format", "csv", "-c", "SELECT count(*) AS c FROM t"]), "c\n4\n");
    ran(&[path, "CHECKPOINT"]);
    let sealed = largest_file(&std::path::Path::new(path).join("sst"));
    let mut bytes = std::fs::read(&sealed).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&sealed, bytes).unwrap();
    let checked = run_with(&["check", path], "");
    assert_eq!((checked.status, checked.out.contains("damaged: ")), (1, true), "{}", checked.out);
    assert!(checked.err.contains("checking "), "{}", checked.err);
}

#[test]
fn a_file_is_explained_and_its_damage_placed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.tri");
    ran(&[
        path.to_str().unwrap(),
        "CREATE TABLE t (n BIGINT PRIMARY KEY); INSERT INTO t VALUES (1), (2); CHECKPOINT",
    ]);
    let entries = std::fs::read_dir(path.join("sst")).unwrap().map(|entry| entry.unwrap().path());
    let sealed =
        entries.into_iter().find(|path| path.extension().is_some_and(|kind| kind == "arrow")).unwrap();
    let file = sealed.to_str().unwrap();
    assert!(ran(&["inspect", file]).contains("match their checksums"));
    assert!(ran(&["inspect", file, "--records"]).contains("- batch=0"));
    let json: serde_json::Value = serde_json::from_str(&ran(&["inspect", file, "--format", "json"])).unwrap();
    assert_eq!((&json["kind"], &json["fields"]["rows"]), (&"SSTable".into(), &2.into()));
    let mut bytes = std::fs::read(&sealed).unwrap();
    bytes[80] ^= 1;
    std::fs::write(&sealed, bytes).unwrap();
    let damaged = run_with(&["inspect", file], "");
    assert_eq!(
        (damaged.status, damaged.out.contains("damaged at byte 0: block 0")),
        (1, true),
        "{}",
        damaged.out
    );
}

#[test]
fn a_database_is_backed_up_restored_vacuumed_and_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (home, copy, back, mended) = (at("home"), at("copy"), at("back"), at("mended"));
    let rows = "INSERT INTO t SELECT value AS n FROM generate_series(1, 1000)";
    ran(&[&home, &format!("CREATE TABLE t (n BIGINT PRIMARY KEY); {rows}; CHECKPOINT")]);
    assert!(ran(&["backup", &home, &copy]).contains("linked"));
    ran(&[&home, "DELETE FROM t WHERE n > 900"]);
    assert!(ran(&["vacuum", &home]).contains("1 files rewritten"));
    assert!(ran(&["backup", &home, &copy, "--copy"]).contains("0 linked"));
    ran(&["restore", &copy, &back]);
    let count = |path: &str| ran(&[path, "--format", "csv", "-c", "SELECT count(*) AS c FROM t"]);
    assert_eq!(count(&back), "c\n900\n");
    let twice = run_with(&["restore", &copy, &back], "");
    assert_eq!((twice.status, twice.err.contains("not empty")), (1, true), "{}", twice.err);
    let sealed = largest_file(&folder.path().join("back/sst"));
    std::fs::write(&sealed, "gone").unwrap();
    let repaired = run_with(&["repair", &back, &mended], "");
    assert_eq!((repaired.status, repaired.out.contains("lost: sst/")), (1, true), "{}", repaired.out);
    assert_eq!(count(&mended), "c\n0\n");
    assert!(ran(&["check", &mended]).contains("no damage"));
}

#[test]
fn a_database_in_a_single_file_is_read_checked_inspected_and_restored() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (home, file, back) = (at("home"), at("all of it.trilith"), at("back"));
    ran(&[&home, "CREATE TABLE t (n BIGINT PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3)"]);
    assert!(ran(&["export", &home, &file]).contains("commits up to"));
    let again = run_with(&["export", &home, &file], "");
    assert_eq!((again.status, again.err.contains("there already")), (1, true), "{}", again.err);
    ran(&[&home, "DELETE FROM t WHERE n = 2"]);
    ran(&["export", &home, &file, "--replace"]);
    let sum = |path: &str| ran(&[path, "--format", "csv", "-c", "SELECT sum(n) AS s FROM t"]);
    assert_eq!(sum(&file), "s\n4\n");
    for write in ["INSERT INTO t VALUES (9)", "DROP TABLE t", "VACUUM"] {
        let refused = run_with(&[&file, write], "");
        assert_eq!((refused.status, refused.err.contains("single file")), (1, true), "{}", refused.err);
    }
    assert!(ran(&["check", &file]).contains("no damage"));
    let told = ran(&["inspect", &file, "--records"]);
    assert!(told.contains("database in a single file") && told.contains("CURRENT"), "{told}");
    ran(&["restore", &file, &back]);
    ran(&[&back, "INSERT INTO t VALUES (10)"]);
    assert_eq!((sum(&back), sum(&file)), ("s\n14\n".into(), "s\n4\n".into()));
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[70] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    for command in ["check", "inspect"] {
        assert_eq!(run_with(&[command, &file], "").status, 1, "{command}");
    }
}

fn largest_file(folder: &std::path::Path) -> std::path::PathBuf {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.map(|path| if path.is_dir() { largest_file(&path) } else { path });
    files.max_by_key(|path| path.metadata().map_or(0, |metadata| metadata.len())).unwrap_or_default()
}

#[test]
fn scripts_run_in_order_and_stop_at_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("two.sql");
    std::fs::write(&file, "SELECT 'x;' -- ;\n AS two;\n\\pset format csv\nSELECT 3 AS three\n").unwrap();
    let arguments = [
        "-q",
        "--format",
        "ndjson",
        "-c",
        "SELECT 1 AS one",
        "-f",
        file.to_str().unwrap(),
        "-c",
        "SELECT 4 AS four",
    ];
    assert_eq!(ran(&arguments), "{\"one\":1}\n{\"two\":\"x;\"}\nthree\n3\nfour\n4\n");
    let stopped = run_with(&["--format", "csv"], "SELECT 1 AS a;\nSELECT nope;\nSELECT 2 AS b;\n");
    assert_eq!((stopped.status, stopped.out.as_str()), (1, "a\n1\n"));
    assert!(stopped.err.contains("Error: ") && stopped.err.contains("nope"), "{}", stopped.err);
    assert!(stopped.err.contains("1 row in "), "{}", stopped.err);
    let quiet = run_with(&["-q"], "SELECT 1;");
    assert_eq!(quiet.err, "");
    let failing = run_with(&["-q", "-c", "SELECT 1 / 0"], "");
    assert_eq!((failing.status, failing.err.contains("ivide by zero")), (1, true), "{}", failing.err);
}

#[test]
fn backslash_commands() {
    let script = "CREATE TABLE t (n BIGINT PRIMARY KEY, v VECTOR(2));\n\\d\n\\d t\n\\h l2_dist\n\\?\n\\timing off\nSELECT 1;\n\\q\nSELECT nope;\n";
    let ran = run_with(&["--format", "csv"], script);
    assert_eq!(ran.status, 0, "{}", ran.err);
    for part in
        ["public,t\n", "n,Int64,false,true,\nv,VECTOR(2),true,false,\n", "l2_distance", "\\pset format"]
    {
        assert!(ran.out.contains(part), "{part}: {}", ran.out);
    }
    for (command, part) in [("\\nope", "\\? lists"), ("\\pset format arrow", "use table, csv")] {
        let ran = run_with(&[], command);
        assert_eq!((ran.status, ran.err.contains(part)), (1, true), "{}", ran.err);
    }
}

#[test]
fn command_lines_that_are_not_understood() {
    assert_eq!(run_with(&["--nope"], "").status, 2);
    assert_eq!(run_with(&["check"], "").status, 2);
    assert!(ran(&["--version"]).starts_with("trilith 0."));
    assert!(ran(&["--help"]).contains("trilith check PATH"));
    let missing = run_with(&["/nonexistent/x.tri", "--read-only", "-c", "SELECT 1"], "");
    assert_eq!((missing.status, missing.err.is_empty()), (1, false));
}

/// A key comes from a file, opens what it made, and is nowhere on the command line.
#[test]
fn an_encrypted_database_is_used_with_a_key_file() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (db, old, new) = (at("db"), at("old.key"), at("new.key"));
    std::fs::write(&old, "5a".repeat(32) + "\n").unwrap();
    std::fs::write(&new, [7; 32]).unwrap();
    let with = |key: &str, arguments: &[&str]| run_with(&[arguments, &["--key-file", key]].concat(), "");
    assert_eq!(with(&old, &[&db, "CREATE TABLE t AS SELECT 1 AS n", "-q"]).status, 0);
    assert!(run_with(&["check", &db], "").err.contains("--key-file"));
    assert_eq!(with(&old, &["check", &db]).status, 0);
    assert_eq!(with(&old, &["rotate-key", &db, &new]).status, 0);
    assert!(with(&old, &[&db, "SELECT * FROM t"]).err.contains("another key"));
    assert_eq!(with(&new, &[&db, "SELECT * FROM t", "--format", "csv", "-q"]).out, "n\n1\n");
    for arguments in
        [["backup", &db, &at("copy")], ["export", &db, &at("one")], ["repair", &db, &at("repaired")]]
    {
        let ran = with(&new, &arguments);
        assert_eq!(ran.status, 0, "{}", ran.err);
    }
    assert_eq!(with(&new, &["restore", &at("one"), &at("back")]).status, 0);
    for copy in ["copy", "one", "repaired", "back"] {
        assert_eq!(
            with(&new, &[&at(copy), "SELECT * FROM t", "--format", "csv", "-q"]).out,
            "n\n1\n",
            "{copy}"
        );
    }
    let current = at("db/CURRENT");
    assert!(ran(&["inspect", &current]).contains("encrypted file"));
    assert!(with(&new, &["inspect", &current]).out.contains("CURRENT"));
    assert!(ran(&["inspect", &at("db/KEYS")]).contains("data keys"));
    std::fs::write(&old, "not a key").unwrap();
    assert!(with(&old, &["vacuum", &db]).err.contains("openssl rand -hex 32"));
}

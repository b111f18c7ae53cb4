//! Large values beside the rows: what is written once, what is read of them, and when they go.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, AsArray};

use super::support::{contents, key, keyed, keyless, keys, rows, small};
use crate::testing::{CrashPolicy, SimStorage};
use crate::{Engine, Options, Storage, TableDef, TableName, WriteBatch, check_storage};

const LARGE: usize = 5_000;

fn options() -> Options {
    Options { blob_bytes: 100, file_bytes: 64 << 10, ..small() }
}

fn open(storage: &SimStorage) -> Arc<Engine> {
    Engine::open(Arc::new(storage.clone()), options()).unwrap()
}

/// A text that no other id or round has any longer stretch of.
fn text(round: u32, id: i64) -> String {
    format!("<{round}:{id}>").repeat(LARGE).chars().take(LARGE + id as usize).collect()
}

/// Every third row is small.
fn value(round: u32, id: i64) -> String {
    if id % 3 == 0 { format!("small {round} {id}") } else { text(round, id) }
}

fn put(engine: &Engine, table: &Arc<TableDef>, round: u32, ids: impl Iterator<Item = i64>) {
    let texts: Vec<(i64, String)> = ids.map(|id| (id, value(round, id))).collect();
    let pairs: Vec<(i64, &str)> = texts.iter().map(|(id, text)| (*id, text.as_str())).collect();
    let mut batch = WriteBatch::new();
    if table.is_keyed() {
        batch.upsert(table, &rows(&pairs)).unwrap();
    } else {
        batch.insert(table, &rows(&pairs)).unwrap();
    }
    engine.commit(batch).unwrap();
}

fn files(storage: &SimStorage, folder: &str) -> BTreeSet<String> {
    storage.paths().into_iter().filter(|path| path.starts_with(folder)).collect()
}

fn bytes(storage: &SimStorage, folders: &[&str]) -> usize {
    let paths = folders.iter().flat_map(|folder| files(storage, folder));
    paths.map(|path| storage.contents(&path).unwrap().len()).sum()
}

fn sound(storage: &SimStorage) {
    let storage: Arc<dyn Storage> = Arc::new(storage.kill_image());
    let report = check_storage(&storage, &mut |_| {}).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
}

fn assert_holds(engine: &Engine, name: &str, expected: impl Iterator<Item = (i64, String)>) {
    let expected: std::collections::BTreeMap<i64, String> = expected.collect();
    let snapshot = engine.snapshot().unwrap();
    assert!(contents(&snapshot, name) == expected, "a scan of {name}");
    let view = snapshot.table(&TableName::public(name)).unwrap();
    if !view.def().is_keyed() {
        return;
    }
    for (id, text) in &expected {
        let found = view.get(&key(*id), None).unwrap().unwrap();
        assert!(found.column(1).as_string::<i32>().value(0) == text, "key {id}");
    }
    let ids: Vec<i64> = expected.keys().rev().copied().collect();
    let ids: arrow::array::ArrayRef = Arc::new(arrow::array::Int64Array::from(ids));
    let (found, places) = view.get_many(&[ids], Some(&[1])).unwrap();
    for (place, text) in places.iter().zip(expected.values().rev()) {
        assert!(found.column(0).as_string::<i32>().value(place.unwrap()) == text);
    }
    let mut left = expected.iter();
    for batch in view.range(&crate::KeyRange::ALL, false, None, None).unwrap() {
        let batch = batch.unwrap();
        for row in 0..batch.num_rows() {
            assert!(left.next().unwrap().1 == batch.column(1).as_string::<i32>().value(row));
        }
    }
    assert_eq!(left.count(), 0);
}

#[test]
fn large_values_lie_beside_the_rows_and_read_as_before() {
    let storage = SimStorage::new();
    let engine = open(&storage);
    for table in [keyed(&engine, "k"), keyless(&engine, "l")] {
        put(&engine, &table, 0, 0..90);
    }
    engine.flush().unwrap();
    assert!(!files(&storage, "blob/").is_empty());
    assert!(bytes(&storage, &["sst/"]) < 60_000);
    for name in ["k", "l"] {
        assert_holds(&engine, name, (0..90).map(|id| (id, value(0, id))));
    }
    sound(&storage);
    engine.close().unwrap();
    let engine = open(&storage);
    for name in ["k", "l"] {
        assert_holds(&engine, name, (0..90).map(|id| (id, value(0, id))));
    }
}

#[test]
fn a_compaction_copies_references_and_no_values() {
    let storage = SimStorage::new();
    let engine = open(&storage);
    let table = keyed(&engine, "t");
    for round in 0..4 {
        put(&engine, &table, round, (0..80).filter(|id| id % 4 == i64::from(round)));
        engine.flush().unwrap();
    }
    let before = files(&storage, "blob/");
    engine.compact().unwrap();
    assert_eq!(files(&storage, "blob/"), before);
    assert_eq!(files(&storage, "sst/").len(), 2);
    assert_holds(&engine, "t", (0..80).map(|id| (id, value((id % 4) as u32, id))));
    sound(&storage);
    let image = storage.crash_image(3, CrashPolicy::WORST);
    assert_holds(&open(&image), "t", (0..80).map(|id| (id, value((id % 4) as u32, id))));
}

#[test]
fn a_scan_of_other_columns_opens_no_blob_file() {
    let storage = SimStorage::new();
    let engine = open(&storage);
    put(&engine, &keyed(&engine, "t"), 0, 0..60);
    engine.flush().unwrap();
    for path in files(&storage, "blob/") {
        storage.plant(&path, b"nothing of the kind");
    }
    let snapshot = engine.snapshot().unwrap();
    let view = snapshot.table(&TableName::public("t")).unwrap();
    for part in view.parts().unwrap() {
        for i in 0..part.num_batches() {
            assert!(part.read(i, &[0], false).is_ok());
        }
    }
    assert!(view.get(&key(6), None).is_ok(), "a small value");
    let error = view.get(&key(7), None).unwrap_err().to_string();
    assert!(error.contains("blob/"), "{error}");
}

#[test]
fn a_range_is_read_wherever_the_value_lies() {
    let storage = SimStorage::new();
    let engine = open(&storage);
    put(&engine, &keyed(&engine, "t"), 0, 0..10);
    for flushed in [false, true] {
        let snapshot = engine.snapshot().unwrap();
        let view = snapshot.table(&TableName::public("t")).unwrap();
        for id in [3, 4] {
            let whole = value(0, id);
            for range in [0..5, 3..4, 9..9, 4_990..6_000, 6_000..7_000, 0..u64::MAX] {
                let part = view.get_range(&key(id), 1, range.clone()).unwrap().unwrap();
                let end = whole.len().min(range.end as usize);
                assert_eq!(part.len as usize, whole.len());
                assert_eq!(&part.bytes[..], &whole.as_bytes()[end.min(range.start as usize)..end]);
            }
        }
        assert_eq!(view.get_range(&key(99), 1, 0..1).unwrap(), None);
        assert!(view.get_range(&key(3), 0, 0..1).unwrap_err().to_string().contains("Int64"));
        assert!(view.get_range(&key(3), 2, 0..1).is_err());
        #[expect(clippy::reversed_empty_ranges, reason = "it is what is refused")]
        let reversed = view.get_range(&key(3), 1, 2..1);
        assert!(reversed.is_err());
        if !flushed {
            engine.flush().unwrap();
        }
    }
}

#[test]
fn a_flipped_bit_is_an_error_of_the_values_it_lies_in() {
    let storage = SimStorage::new();
    let engine = open(&storage);
    put(&engine, &keyed(&engine, "t"), 0, 0..10);
    engine.flush().unwrap();
    engine.close().unwrap();
    let path = files(&storage, "blob/").pop_first().unwrap();
    let whole = storage.contents(&path).unwrap();
    for at in (0..whole.len()).step_by(997).chain(whole.len() - 60..whole.len()) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (at % 8);
        let image = storage.kill_image();
        image.plant(&path, &damaged);
        let engine = open(&image);
        let snapshot = engine.snapshot().unwrap();
        let view = snapshot.table(&TableName::public("t")).unwrap();
        let mut failed = 0;
        for id in 0..10 {
            match view.get(&key(id), None) {
                Ok(found) => assert!(found.unwrap().column(1).as_string::<i32>().value(0) == value(0, id)),
                Err(error) => {
                    assert!(error.to_string().contains(&path), "{error}");
                    failed += 1;
                }
            }
        }
        assert!((1..=6).contains(&failed), "byte {at}: {failed}");
        let image: Arc<dyn Storage> = Arc::new(image);
        assert!(!check_storage(&image, &mut |_| {}).unwrap().problems.is_empty());
    }
}

#[test]
fn what_nobody_needs_leaves_the_disk() {
    let storage = SimStorage::new();
    let engine = open(&storage);
    let table = keyed(&engine, "t");
    for round in 0..4 {
        put(&engine, &table, round, (0..90).filter(|id| round == 0 || id % 5 == i64::from(round)));
        engine.flush().unwrap();
    }
    let mut batch = WriteBatch::new();
    batch.delete_keys(&table, &keys(&(60..90).collect::<Vec<_>>())).unwrap();
    engine.commit(batch).unwrap();
    engine.vacuum().unwrap();
    let round = |id: i64| if (1..4).contains(&(id % 5)) { (id % 5) as u32 } else { 0 };
    assert_holds(&engine, "t", (0..60).map(|id| (id, value(round(id), id))));
    let live: usize = (0..60).map(|id| value(round(id), id).len()).sum();
    let taken = bytes(&storage, &["sst/", "blob/", "del/"]);
    assert!(taken * 10 <= live * 13, "{taken} bytes for {live}");
    for path in storage.paths() {
        let held = storage.contents(&path).unwrap();
        for gone in ["<0:61><0:61>", "<0:1><0:1>", "<0:82>", "<3:88>"] {
            assert!(!held.windows(gone.len()).any(|window| window == gone.as_bytes()), "{gone} in {path}");
        }
    }
    sound(&storage);
    engine
        .commit({
            let mut batch = WriteBatch::new();
            batch.delete_keys(&table, &keys(&(0..60).collect::<Vec<_>>())).unwrap();
            batch
        })
        .unwrap();
    engine.vacuum().unwrap();
    assert_eq!(files(&storage, "blob/"), BTreeSet::new());
}

#[test]
fn maintenance_gives_up_files_that_are_mostly_garbage() {
    let storage = SimStorage::new();
    let engine = open(&storage);
    let table = keyed(&engine, "t");
    for round in 0..6 {
        put(&engine, &table, round, (0..90).filter(|id| round == 0 || id % 6 == i64::from(round)));
        engine.flush().unwrap();
        engine.maintain().unwrap();
        let live: usize = (0..90).map(|id| value(0, id).len()).sum();
        let taken = bytes(&storage, &["sst/", "blob/", "del/"]);
        assert!(taken * 10 <= live * 16, "round {round}: {taken} bytes for {live}");
    }
    assert_holds(&engine, "t", (0..90).map(|id| (id, value((id % 6) as u32, id))));
    sound(&storage);
}

#[test]
fn a_snapshot_keeps_the_values_that_it_shows() {
    let storage = SimStorage::new();
    let engine = open(&storage);
    let table = keyed(&engine, "t");
    put(&engine, &table, 0, 0..30);
    engine.flush().unwrap();
    let before = engine.snapshot().unwrap();
    for round in 1..3 {
        put(&engine, &table, round, 0..30);
        engine.vacuum().unwrap();
    }
    assert!(contents(&before, "t") == (0..30).map(|id| (id, value(0, id))).collect());
    drop(before);
    assert_holds(&engine, "t", (0..30).map(|id| (id, value(2, id))));
    engine.vacuum().unwrap();
    let live: usize = (0..30).map(|id| value(2, id).len()).sum();
    assert!(bytes(&storage, &["blob/"]) < live + 2_000);
}

#[test]
fn an_option_that_is_off_leaves_all_in_the_rows() {
    let storage = SimStorage::new();
    let plain = || Options { blob_bytes: 0, ..options() };
    let engine = Engine::open(Arc::new(storage.clone()), plain()).unwrap();
    put(&engine, &keyed(&engine, "t"), 0, 0..30);
    engine.flush().unwrap();
    assert_eq!(files(&storage, "blob/"), BTreeSet::new());
    engine.close().unwrap();
    // Rows from before go beside them when they are merged.
    let engine = open(&storage);
    let table = keyed(&engine, "t");
    put(&engine, &table, 1, 10..20);
    engine.compact().unwrap();
    assert!(bytes(&storage, &["sst/"]) < 30_000);
    let round = |id: i64| u32::from((10..20).contains(&id));
    assert_holds(&engine, "t", (0..30).map(|id| (id, value(round(id), id))));
    engine.close().unwrap();
    // And stay there.
    let engine = Engine::open(Arc::new(storage.clone()), plain()).unwrap();
    put(&engine, &keyed(&engine, "t"), 0, 0..3);
    engine.compact().unwrap();
    assert_holds(&engine, "t", (0..30).map(|id| (id, value(round(id), id))));
    sound(&storage);
}

#[test]
fn a_kept_version_keeps_its_values() {
    let storage = SimStorage::new();
    let engine = open(&storage);
    let table = keyed(&engine, "t");
    put(&engine, &table, 0, 0..30);
    engine.flush().unwrap();
    engine.create_tag("first").unwrap();
    put(&engine, &table, 1, 0..30);
    engine.vacuum().unwrap();
    let expected = (0..30).map(|id| (id, value(0, id))).collect();
    let version = engine.tags().unwrap()[0].version;
    assert!(contents(&engine.at(version).unwrap(), "t") == expected);
    engine.close().unwrap();
    let engine = open(&storage);
    assert!(contents(&engine.at(version).unwrap(), "t") == expected);
    let two_rounds = bytes(&storage, &["blob/"]);
    engine.drop_tag("first").unwrap();
    engine.vacuum().unwrap();
    assert!(bytes(&storage, &["blob/"]) * 3 < two_rounds * 2);
    assert_holds(&engine, "t", (0..30).map(|id| (id, value(1, id))));
    sound(&storage);
}

#[test]
fn a_reader_of_another_process_keeps_what_it_shows() {
    let storage = SimStorage::new();
    let engine = open(&storage);
    let table = keyed(&engine, "t");
    put(&engine, &table, 0, 0..30);
    engine.flush().unwrap();
    let reader = Engine::open(Arc::new(storage.clone()), Options { read_only: true, ..options() }).unwrap();
    let before = reader.snapshot().unwrap();
    for round in 1..3 {
        put(&engine, &table, round, 0..30);
        engine.vacuum().unwrap();
        assert_holds(&reader, "t", (0..30).map(|id| (id, value(round, id))));
    }
    assert!(contents(&before, "t") == (0..30).map(|id| (id, value(0, id))).collect());
}

#[test]
fn backups_exports_and_repairs_bring_the_values() {
    let storage = SimStorage::new();
    let engine = open(&storage);
    let table = keyed(&engine, "t");
    put(&engine, &table, 0, 0..30);
    engine.flush().unwrap();
    put(&engine, &table, 1, 10..20);
    let round = |id: i64| u32::from((10..20).contains(&id));
    let backup = SimStorage::new();
    for _ in 0..2 {
        engine.backup_to(Arc::new(backup.clone()), crate::CopyMode::Copy, &mut |_| Ok(())).unwrap();
        assert_holds(&open(&backup.kill_image()), "t", (0..30).map(|id| (id, value(round(id), id))));
        sound(&backup);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("one.trilith");
    engine.export(&file, false, None, &mut |_| Ok(())).unwrap();
    let exported = Engine::open_path(&file, Options { read_only: true, ..options() }).unwrap();
    assert_holds(&exported, "t", (0..30).map(|id| (id, value(round(id), id))));
    engine.close().unwrap();

    let path = files(&storage, "blob/").pop_first().unwrap();
    let mut damaged = storage.contents(&path).unwrap();
    let at = 100;
    damaged[at] ^= 1;
    // Without its last bytes, no checksum of a block is known; the values prove themselves all the same.
    damaged.truncate(damaged.len() - 10);
    storage.plant(&path, &damaged);
    let (source, target): (Arc<dyn Storage>, _) = (Arc::new(storage.clone()), SimStorage::new());
    let report = crate::repair_storage(&source, Arc::new(target.clone()), &mut |_| Ok(())).unwrap();
    assert_eq!(report.losses.len(), 1, "{report}");
    assert_eq!(report.losses[0].rows, Some(1), "{report}");
    let left = contents(&open(&target).snapshot().unwrap(), "t");
    assert_eq!(left.len(), 29);
    assert!(left.iter().all(|(id, text)| *text == value(round(*id), *id)));
    sound(&target);
}

#[test]
fn every_layout_of_strings_and_bytes_is_covered() {
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use arrow::compute::cast;
    use arrow::datatypes::{DataType, Field, Schema};
    let storage = SimStorage::new();
    let engine = open(&storage);
    let types = [
        DataType::Utf8,
        DataType::LargeUtf8,
        DataType::Utf8View,
        DataType::Binary,
        DataType::LargeBinary,
        DataType::BinaryView,
    ];
    let mut fields = vec![Field::new("id", DataType::Int64, true)];
    fields.extend(types.iter().enumerate().map(|(i, kind)| Field::new(format!("c{i}"), kind.clone(), true)));
    let schema = Arc::new(Schema::new(fields));
    let texts = (0..20).map(|id| match id % 4 {
        0 => None,
        1 => Some("é".repeat(40 + id)),
        _ => Some("x".repeat(id)),
    });
    let texts: ArrayRef = Arc::new(arrow::array::StringArray::from_iter(texts));
    let mut columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from_iter_values(0..20))];
    columns.extend(types.iter().map(|kind| cast(&texts, kind).unwrap()));
    let rows = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
    let spec = crate::TableSpec {
        name: TableName::public("t"),
        schema,
        primary_key: vec!["id".into()],
        defaults: Default::default(),
        options: Default::default(),
        indexes: vec![],
    };
    let table = engine.create_table(&spec, crate::IfExists::Keep).unwrap();
    let mut batch = WriteBatch::new();
    batch.insert(&table, &rows).unwrap();
    engine.commit(batch).unwrap();
    engine.flush().unwrap();
    for _ in 0..2 {
        let view = engine.snapshot().unwrap().table(&TableName::public("t")).unwrap();
        let found = view.parts().unwrap()[0].read(0, &(0..7).collect::<Vec<_>>(), false).unwrap();
        for (found, given) in found.columns().iter().zip(rows.columns()) {
            assert_eq!(found, &given.slice(0, found.len()));
        }
        for id in 0..20 {
            let found = view.get(&key(id), None).unwrap().unwrap();
            for (found, given) in found.columns().iter().zip(rows.columns()) {
                assert_eq!(found, &given.slice(id as usize, 1), "{}", found.data_type());
            }
        }
        engine.compact().unwrap();
    }
    sound(&storage);
}

#[test]
fn an_older_build_refuses_what_it_would_misread() {
    let storage = SimStorage::new();
    let engine = open(&storage);
    let table = keyed(&engine, "t");
    let version = || {
        let current = storage.contents("CURRENT").unwrap();
        let number = u64::from_le_bytes(current[32..40].try_into().unwrap());
        let manifest = storage.contents(&format!("manifest/{number}.mf")).unwrap();
        (current[8], manifest[8])
    };
    assert_eq!(version(), (1, 1));
    put(&engine, &table, 0, 0..30);
    engine.flush().unwrap();
    assert_eq!(version(), (1, 2));
    let mut batch = WriteBatch::new();
    batch.delete_keys(&table, &keys(&(0..30).collect::<Vec<_>>())).unwrap();
    engine.commit(batch).unwrap();
    engine.vacuum().unwrap();
    assert_eq!(version(), (1, 1));
}

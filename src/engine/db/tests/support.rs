//! Small tables for tests.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, UInt64Type};
use parking_lot::Mutex;

use crate::testing::SimStorage;
use crate::{Clock, Engine, IfExists, Options, Snapshot, TableDef, TableName, TableSpec, WriteBatch};

pub fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("text", DataType::Utf8, true),
    ]))
}

pub fn rows(pairs: &[(i64, &str)]) -> RecordBatch {
    let ids = Int64Array::from_iter_values(pairs.iter().map(|(id, _)| *id));
    let texts = StringArray::from_iter_values(pairs.iter().map(|(_, text)| *text));
    RecordBatch::try_new(schema(), vec![Arc::new(ids), Arc::new(texts)]).unwrap()
}

pub fn keys(ids: &[i64]) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from(ids.to_vec()));
    RecordBatch::try_from_iter([("id", ids)]).unwrap()
}

pub fn key(id: i64) -> Vec<ArrayRef> {
    vec![Arc::new(Int64Array::from(vec![id]))]
}

/// Small sizes, so that little data already makes many files; nothing in the background.
pub fn small() -> Options {
    Options {
        background: false,
        batch_rows: 16,
        memtable_bytes: 64 << 10,
        file_bytes: 16 << 10,
        direct_append_bytes: 4 << 10,
        ..Options::default()
    }
}

pub fn keyed(engine: &Engine, name: &str) -> Arc<TableDef> {
    create(engine, name, vec!["id".into()])
}

pub fn keyless(engine: &Engine, name: &str) -> Arc<TableDef> {
    create(engine, name, Vec::new())
}

fn create(engine: &Engine, name: &str, primary_key: Vec<String>) -> Arc<TableDef> {
    with_options(engine, name, primary_key, &[])
}

pub fn with_options(
    engine: &Engine,
    name: &str,
    primary_key: Vec<String>,
    options: &[(&str, &str)],
) -> Arc<TableDef> {
    let (name, defaults) = (TableName::public(name), HashMap::new());
    let options = options.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let spec = TableSpec { name, schema: schema(), primary_key, defaults, options, indexes: vec![] };
    engine.create_table(&spec, IfExists::Keep).unwrap()
}

/// A clock that does something the first time that a merge under way asks for the time: its inputs are chosen then,
/// and nothing of them is read.
#[derive(Default)]
pub struct Meanwhile(Mutex<Option<Doing>>);

type Doing = (Weak<Engine>, Box<dyn FnOnce(&Engine) + Send>);

impl Meanwhile {
    pub fn doing(&self, engine: &Arc<Engine>, what: impl FnOnce(&Engine) + Send + 'static) {
        *self.0.lock() = Some((Arc::downgrade(engine), Box::new(what)));
    }

    pub fn is_done(&self) -> bool {
        self.0.lock().is_none()
    }
}

impl std::fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meanwhile")
    }
}

impl Clock for Meanwhile {
    fn now_millis(&self) -> i64 {
        let is_merging = |engine: &Weak<Engine>| {
            let engine = engine.upgrade();
            engine.is_some_and(|engine| engine.compactions().iter().any(|job| job.state == "running"))
        };
        let due = self.0.lock().take_if(|(engine, _)| is_merging(engine));
        if let Some((Some(engine), what)) = due.map(|(engine, what)| (engine.upgrade(), what)) {
            what(&engine);
        }
        10_000
    }
}

/// Every row of a table, by id; fails on a duplicate.
pub fn contents(snapshot: &Snapshot, name: &str) -> BTreeMap<i64, String> {
    let view = snapshot.table(&TableName::public(name)).unwrap();
    let mut found = BTreeMap::new();
    for (id, text) in scan(&view) {
        assert!(found.insert(id, text).is_none(), "id {id} comes twice");
    }
    assert_eq!(view.row_count().unwrap(), found.len() as u64);
    found
}

pub fn scan(view: &crate::TableView) -> Vec<(i64, String)> {
    let mut found = Vec::new();
    for part in view.parts().unwrap() {
        for i in 0..part.num_batches() {
            let batch = part.read(i, &[0, 1], false).unwrap();
            let ids = batch.column(0).as_primitive::<Int64Type>();
            let texts = batch.column(1).as_string::<i32>();
            found.extend((0..batch.num_rows()).map(|row| (ids.value(row), texts.value(row).to_owned())));
        }
    }
    found
}

/// Row ids of the rows with this id.
pub fn row_ids(snapshot: &Snapshot, name: &str, id: i64) -> UInt64Array {
    let view = snapshot.table(&TableName::public(name)).unwrap();
    let mut found = Vec::new();
    for part in view.parts().unwrap() {
        for i in 0..part.num_batches() {
            let batch = part.read(i, &[0], true).unwrap();
            let ids = batch.column(0).as_primitive::<Int64Type>();
            let row_ids = batch.column(1).as_primitive::<UInt64Type>();
            found.extend((0..ids.len()).filter(|&row| ids.value(row) == id).map(|row| row_ids.value(row)));
        }
    }
    found.into()
}

/// A closed database with every kind of file in it, and the paths of its files.
pub fn small_database() -> (SimStorage, Vec<String>) {
    let storage = SimStorage::new();
    for life in 0..3i64 {
        let engine = Engine::open(Arc::new(storage.clone()), small()).unwrap();
        let (k, l) = (keyed(&engine, "k"), keyless(&engine, "l"));
        let mut batch = WriteBatch::new();
        let pairs: Vec<(i64, &str)> = (life * 10..life * 10 + 40).map(|id| (id, "some text")).collect();
        batch.upsert(&k, &rows(&pairs)).unwrap();
        batch.insert(&l, &rows(&pairs)).unwrap();
        engine.commit(batch).unwrap();
        engine.flush().unwrap();
        let mut batch = WriteBatch::new();
        batch.upsert(&k, &rows(&[(life, "later")])).unwrap();
        engine.commit(batch).unwrap();
        engine.close().unwrap();
    }
    let paths = storage.paths();
    (storage, paths)
}

/// The same database with one file that holds other bytes.
pub fn with_bytes(storage: &SimStorage, path: &str, bytes: &[u8]) -> SimStorage {
    let changed = storage.kill_image();
    changed.plant(path, bytes);
    changed
}

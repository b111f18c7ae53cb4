//! Past versions: each that is kept equals the database as it was at that commit, and nothing else stays on the disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::support::{contents, keyed, keys, rows, small};
use crate::testing::{CrashPolicy, SimStorage};
use crate::{AlterTable, Engine, Error, Options, Retention, SeqNo, TableName, WriteBatch, WriteMode};

type Rows = BTreeMap<i64, String>;

const ALL: Retention = Retention { versions: u64::MAX, seconds: 0 };

fn open(disk: &SimStorage) -> crate::Result<Arc<Engine>> {
    Engine::open(Arc::new(disk.clone()), small())
}

struct History {
    disk: SimStorage,
    engine: Arc<Engine>,
    dice: SmallRng,
    now: Rows,
    versions: BTreeMap<SeqNo, Rows>,
}

impl History {
    fn new(seed: u64, retention: Retention) -> Self {
        let disk = SimStorage::new();
        let engine = open(&disk).unwrap();
        engine.set_retention(retention).unwrap();
        keyed(&engine, "t");
        let now = Rows::new();
        let versions = BTreeMap::from([(SeqNo(0), Rows::new())]);
        Self { disk, engine, dice: SmallRng::seed_from_u64(seed), now, versions }
    }

    fn step(&mut self) -> crate::Result<()> {
        match self.dice.random_range(0..20) {
            0 | 1 => self.engine.flush(),
            2 => self.engine.compact(),
            3 => self.engine.maintain().map(|_| ()),
            4 => {
                self.engine.close()?;
                self.engine = open(&self.disk)?;
                Ok(())
            }
            5 => {
                let name = format!("c{}", self.dice.random::<u32>());
                let field = Arc::new(Field::new(name, DataType::Int64, true));
                let change = AlterTable::AddColumn { field, default: None, fill: None };
                self.engine.alter_table(&TableName::public("t"), &change).map(|_| ())
            }
            _ => self.change(),
        }
    }

    fn change(&mut self) -> crate::Result<()> {
        let text = self.dice.random_range(0..1_000_000).to_string();
        let mut next = self.now.clone();
        let ids: Vec<i64> =
            (0..self.dice.random_range(1..5)).map(|_| self.dice.random_range(0..40)).collect();
        let table = Arc::clone(self.engine.snapshot()?.table(&TableName::public("t"))?.def());
        let seq = match self.dice.random_range(0..6) {
            0 => {
                ids.iter().for_each(|id| drop(next.remove(id)));
                let mut batch = WriteBatch::new();
                batch.delete_keys(&table, &keys(&ids))?;
                self.engine.commit(batch)?
            }
            kind => {
                let pairs: BTreeMap<i64, &str> = ids.iter().map(|id| (*id, text.as_str())).collect();
                next.extend(pairs.iter().map(|(id, text)| (*id, (*text).to_owned())));
                let pairs: Vec<(i64, &str)> = pairs.into_iter().collect();
                let rows = widened(&rows(&pairs), &table);
                if kind == 1 {
                    let mut appender = self.engine.appender(&table.name, WriteMode::Upsert)?;
                    appender.write(&rows)?;
                    appender.finish()?;
                    self.engine.snapshot()?.seq()
                } else {
                    let mut batch = WriteBatch::new();
                    batch.upsert(&table, &rows)?;
                    self.engine.commit(batch)?
                }
            }
        };
        self.now = next;
        self.versions.insert(seq, self.now.clone());
        Ok(())
    }

    fn check(&self, engine: &Engine, version: SeqNo, what: &str) {
        let past = engine.at(version).unwrap_or_else(|error| unreadable(version, what, &error));
        assert_eq!(past.seq(), version);
        let found = past.table(&TableName::public("t")).map(|_| contents(&past, "t")).unwrap_or_default();
        assert_eq!(found, self.versions[&version], "version {version}, {what}");
    }
}

#[expect(clippy::panic, reason = "tests")]
fn unreadable(version: SeqNo, what: &str, error: &Error) -> ! {
    panic!("version {version} cannot be read, {what}: {error}")
}

/// The rows with nulls for the columns that were added.
fn widened(rows: &arrow::array::RecordBatch, table: &crate::TableDef) -> arrow::array::RecordBatch {
    let schema = table.schema();
    let mut columns = rows.columns().to_vec();
    let added = schema.fields().iter().skip(columns.len());
    columns.extend(added.map(|field| arrow::array::new_null_array(field.data_type(), rows.num_rows())));
    arrow::array::RecordBatch::try_new(schema, columns).unwrap()
}

#[test]
fn each_version_equals_the_model_at_its_commit() {
    for seed in 0..8 {
        let mut history = History::new(seed, ALL);
        for step in 0..80 {
            history.step().unwrap();
            let at = history.dice.random_range(0..history.versions.len());
            let version = *history.versions.keys().nth(at).unwrap();
            history.check(&history.engine, version, &format!("seed {seed}, step {step}"));
        }
        let reader = Options { read_only: true, ..small() };
        let reader = Engine::open(Arc::new(history.disk.clone()), reader).unwrap();
        for version in history.versions.keys() {
            history.check(&reader, *version, &format!("seed {seed}, by a reader"));
        }
        history.engine.close().unwrap();
        let again = open(&history.disk).unwrap();
        for version in history.versions.keys() {
            history.check(&again, *version, &format!("seed {seed}, opened again"));
        }
    }
}

#[test]
fn each_version_is_there_after_a_power_cut() {
    for seed in 0..40 {
        let mut history = History::new(seed, ALL);
        let calls = history.disk.calls();
        history.disk.stop_at(calls + history.dice.random_range(20..500), history.dice.random());
        while history.step().is_ok() && history.versions.len() < 60 {}
        let image = history.disk.crash_image(seed, CrashPolicy::RANDOM);
        let engine = open(&image).unwrap();
        let newest = engine.snapshot().unwrap().seq();
        for version in history.versions.keys().filter(|version| **version <= newest) {
            history.check(&engine, *version, &format!("seed {seed}, after a power cut"));
        }
        let acknowledged = *history.versions.keys().last().unwrap();
        assert!(newest >= acknowledged, "seed {seed}");
    }
}

/// Files of sealed data and manifests, but for those that crashes may leave.
fn stored(disk: &SimStorage) -> usize {
    let is_data = |path: &String| path.starts_with("sst/") || path.starts_with("del/");
    disk.paths().iter().filter(|path| is_data(path)).count()
}

#[test]
fn a_tag_keeps_its_version_until_it_is_dropped() {
    let mut history = History::new(7, Retention::default());
    for _ in 0..10 {
        history.change().unwrap();
    }
    let tagged = history.engine.create_tag("before").unwrap();
    assert!(matches!(history.engine.create_tag("before"), Err(Error::AlreadyExists { .. })));
    history.versions.insert(tagged, history.now.clone());
    for _ in 0..150 {
        history.step().unwrap();
    }
    history.engine.compact().unwrap();
    history.check(&history.engine, tagged, "tagged");
    assert_eq!(history.engine.tags().unwrap()[0].version, tagged);
    let older = SeqNo(tagged.0 - 1);
    assert!(matches!(history.engine.at(older), Err(Error::NotFound { .. })));
    let with_tag = stored(&history.disk);
    let held = history.engine.at(tagged).unwrap();
    history.engine.drop_tag("before").unwrap();
    assert!(matches!(history.engine.drop_tag("before"), Err(Error::NotFound { .. })));
    history.change().unwrap();
    history.engine.compact().unwrap();
    assert!(matches!(history.engine.at(tagged), Err(Error::NotFound { .. })));
    assert_eq!(contents(&held, "t"), history.versions[&tagged], "a snapshot holds what it reads");
    drop(held);
    assert!(stored(&history.disk) < with_tag, "what the tag kept has left the disk");
}

#[test]
fn versions_beyond_the_retention_leave_the_disk() {
    let mut history = History::new(3, Retention { versions: 15, seconds: 0 });
    for _ in 0..300 {
        history.step().unwrap();
    }
    let newest = history.engine.snapshot().unwrap().seq();
    for version in history.versions.keys().filter(|version| version.0 + 15 > newest.0) {
        history.check(&history.engine, *version, "within the retention");
    }
    assert!(matches!(history.engine.at(SeqNo(1)), Err(Error::NotFound { .. })));
    assert!(matches!(history.engine.at(newest.next()), Err(Error::NotFound { .. })));
    history.engine.set_retention(Retention::default()).unwrap();
    history.change().unwrap();
    history.engine.compact().unwrap();
    history.engine.close().unwrap();
    let engine = open(&history.disk).unwrap();
    assert_eq!(engine.retention(), Retention::default());
    let named = engine.files().iter().filter(|file| file.kind == "sst").count();
    assert!(stored(&history.disk) <= named * 2 + 1, "{:?}", history.disk.paths());
}

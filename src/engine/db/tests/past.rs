//! Past versions: each that is kept equals the database as it was at that commit, and nothing else stays on the disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Field, Int64Type};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::support::{contents, keyed, keys, rows, schema, small};
use crate::testing::{CrashPolicy, SimStorage};
use crate::{
    AlterTable, ChangeKind, Clock, Engine, Error, IfExists, Options, Retention, SeqNo, SetClock, TableName,
    TableSpec, WriteBatch, WriteMode,
};

type Rows = BTreeMap<i64, String>;

const ALL: Retention = Retention { versions: u64::MAX, millis: 0 };

fn open(disk: &SimStorage, clock: &Arc<SetClock>) -> crate::Result<Arc<Engine>> {
    let options = Options { clock: Arc::clone(clock) as _, ..small() };
    Engine::open(Arc::new(disk.clone()), options)
}

fn create(engine: &Engine) -> crate::Result<()> {
    let (name, primary_key) = (TableName::public("t"), vec!["id".into()]);
    let (defaults, options) = Default::default();
    let spec = TableSpec { name, schema: schema(), primary_key, defaults, options, indexes: vec![] };
    engine.create_table(&spec, IfExists::Fail).map(|_| ())
}

struct History {
    disk: SimStorage,
    clock: Arc<SetClock>,
    engine: Arc<Engine>,
    dice: SmallRng,
    now: Rows,
    versions: BTreeMap<SeqNo, Rows>,
    /// When each version was committed.
    times: BTreeMap<SeqNo, i64>,
}

impl History {
    fn new(seed: u64, retention: Retention) -> Self {
        let (disk, clock) = (SimStorage::new(), Arc::new(SetClock::default()));
        let engine = open(&disk, &clock).unwrap();
        engine.set_retention(retention).unwrap();
        let (now, versions, times) = (Rows::new(), BTreeMap::new(), BTreeMap::new());
        let mut history =
            Self { disk, clock, engine, dice: SmallRng::seed_from_u64(seed), now, versions, times };
        history.note(SeqNo(0));
        keyed(&history.engine, "t");
        history.note(SeqNo(1));
        history
    }

    fn note(&mut self, seq: SeqNo) {
        self.versions.insert(seq, self.now.clone());
        self.times.insert(seq, self.clock.now_millis());
    }

    fn newest(&self) -> crate::Result<SeqNo> {
        Ok(self.engine.snapshot()?.seq())
    }

    fn step(&mut self) -> crate::Result<()> {
        self.clock.set(self.clock.now_millis() + self.dice.random_range(0..3));
        match self.dice.random_range(0..20) {
            0 | 1 => self.engine.flush(),
            2 => self.engine.compact(),
            3 => self.engine.maintain().map(|_| ()),
            4 => {
                self.engine.close()?;
                self.engine = open(&self.disk, &self.clock)?;
                Ok(())
            }
            5 => {
                let name = format!("c{}", self.dice.random::<u32>());
                let field = Arc::new(Field::new(name, DataType::Int64, true));
                let change = AlterTable::AddColumn { field, default: None, fill: None };
                self.engine.alter_table(&TableName::public("t"), &change)?;
                let seq = self.newest()?;
                self.note(seq);
                Ok(())
            }
            6 => self.start_over(),
            _ => self.change(),
        }
    }

    fn start_over(&mut self) -> crate::Result<()> {
        self.engine.drop_table(&TableName::public("t"))?;
        self.now.clear();
        let seq = self.newest()?;
        self.note(seq);
        create(&self.engine)?;
        let seq = self.newest()?;
        self.note(seq);
        Ok(())
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
        self.note(seq);
        Ok(())
    }

    fn check(&self, engine: &Engine, version: SeqNo, what: &str) {
        let past = engine.at(version).unwrap_or_else(|error| unreadable(version, what, &error));
        assert_eq!(past.seq(), version);
        let found = past.table(&TableName::public("t")).map(|_| contents(&past, "t")).unwrap_or_default();
        assert_eq!(found, self.versions[&version], "version {version}, {what}");
        let millis = self.times[&version];
        let last = self.times.iter().rev().find(|(_, time)| **time == millis).map(|(version, _)| *version);
        match engine.version_at(millis) {
            // A commit that a power cut kept from being acknowledged may be there all the same.
            Ok(found) if Some(found) > self.versions.keys().last().copied() => {}
            Ok(found) => assert_eq!(Some(found), last, "the moment of version {version}, {what}"),
            Err(error) => assert_ne!(engine.retention(), ALL, "version {version}, {what}: {error}"),
        }
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
        let reader = Options { read_only: true, clock: Arc::clone(&history.clock) as _, ..small() };
        let reader = Engine::open(Arc::new(history.disk.clone()), reader).unwrap();
        for version in history.versions.keys() {
            history.check(&reader, *version, &format!("seed {seed}, by a reader"));
        }
        history.engine.close().unwrap();
        let again = open(&history.disk, &history.clock).unwrap();
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
        let engine = open(&image, &history.clock).unwrap();
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
    history.note(tagged);
    for _ in 0..150 {
        history.step().unwrap();
    }
    history.engine.compact().unwrap();
    history.check(&history.engine, tagged, "tagged");
    assert_eq!(history.engine.tags().unwrap()[0].version, tagged);
    let older = SeqNo(tagged.0 - 1);
    assert!(matches!(history.engine.at(older), Err(Error::NotFound { .. })));
    let with_tag = stored(&history.disk);
    history.engine.set_retention(ALL).unwrap();
    let later = history.engine.at(tagged.next());
    assert!(matches!(later, Err(Error::NotFound { .. })), "no retention brings a log back: {later:?}");
    history.engine.set_retention(Retention::default()).unwrap();
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
    let mut history = History::new(3, Retention { versions: 15, millis: 0 });
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
    let engine = open(&history.disk, &history.clock).unwrap();
    assert_eq!(engine.retention(), Retention::default());
    let named = engine.files().iter().filter(|file| file.kind == "sst").count();
    assert!(stored(&history.disk) <= named * 2 + 1, "{:?}", history.disk.paths());
}

/// What is left of `rows` after the changes.
fn replayed(mut rows: Rows, changes: crate::Changes) -> Rows {
    for change in changes {
        let change = change.unwrap();
        let ids = change.rows.column(0).as_primitive::<Int64Type>();
        let texts = change.rows.column(1).as_string::<i32>();
        for row in 0..ids.len() {
            let (id, text) = (ids.value(row), texts.value(row).to_owned());
            let before = match change.kind {
                ChangeKind::Delete => rows.remove(&id).filter(|before| *before == text),
                _ => rows.insert(id, text),
            };
            assert_eq!(before.is_some(), change.kind != ChangeKind::Insert, "{change:?}");
        }
    }
    rows
}

#[test]
fn the_changes_between_two_versions_lead_from_one_to_the_other() {
    for seed in 0..12 {
        let retention = if seed % 3 == 0 { Retention { versions: 12, millis: 0 } } else { ALL };
        let mut history = History::new(seed, retention);
        let t = TableName::public("t");
        for step in 0..80 {
            history.step().unwrap();
            if step % 17 == 16 {
                history.engine.create_tag(&step.to_string()).unwrap();
                let seq = history.newest().unwrap();
                history.note(seq);
            }
            let kept: Vec<SeqNo> = history.engine.versions().unwrap().iter().map(|v| v.seq).collect();
            let [a, b] = [0, 1].map(|_| kept[history.dice.random_range(0..kept.len())]);
            let (from, to) = (a.min(b), a.max(b));
            let changes = match history.engine.changes(&t, from.next(), to) {
                Err(Error::NotFound { entity: "table", .. }) => continue,
                changes => changes.unwrap(),
            };
            let found = replayed(history.versions[&from].clone(), changes);
            assert_eq!(found, history.versions[&to], "seed {seed}, step {step}, from {from} to {to}");
        }
        for id in 0..40 {
            let changes = history.engine.history(&t, &super::support::key(id)).unwrap();
            for version in history.engine.versions().unwrap() {
                let last = changes.iter().rev().find(|change| change.version <= version.seq);
                let text = last.filter(|change| change.kind != ChangeKind::Delete);
                let text = text.map(|change| change.rows.column(1).as_string::<i32>().value(0).to_owned());
                assert_eq!(
                    text,
                    history.versions[&version.seq].get(&id).cloned(),
                    "seed {seed}, {id}, {version:?}"
                );
            }
        }
    }
}

#[test]
fn a_database_in_memory_keeps_versions_too() {
    let engine = Engine::in_memory(small()).unwrap();
    engine.set_retention(ALL).unwrap();
    let table = keyed(&engine, "t");
    let mut expected = Vec::new();
    for id in 0..60 {
        let mut batch = WriteBatch::new();
        batch.upsert(&table, &rows(&[(id % 7, "x"), (id, "y")])).unwrap();
        expected.push((engine.commit(batch).unwrap(), contents(&engine.snapshot().unwrap(), "t")));
        if id % 9 == 0 {
            engine.flush().unwrap();
            engine.compact().unwrap();
        }
    }
    for (version, rows) in &expected {
        assert_eq!(contents(&engine.at(*version).unwrap(), "t"), *rows, "version {version}");
    }
    let (first, last) = (expected.first().unwrap(), expected.last().unwrap());
    let changes = engine.changes(&TableName::public("t"), first.0.next(), last.0).unwrap();
    assert_eq!(replayed(first.1.clone(), changes), last.1);
}

#[test]
fn a_keyless_table_tells_what_came_and_went() {
    let disk = SimStorage::new();
    let engine = Engine::open(Arc::new(disk), small()).unwrap();
    engine.set_retention(ALL).unwrap();
    let (table, t) = (super::support::keyless(&engine, "t"), TableName::public("t"));
    let mut batch = WriteBatch::new();
    batch.insert(&table, &rows(&[(1, "a"), (2, "b"), (3, "c")])).unwrap();
    let first = engine.commit(batch).unwrap();
    engine.flush().unwrap();
    let mut appender = engine.appender(&t, WriteMode::Insert).unwrap();
    let many: Vec<(i64, &str)> = (10..900).map(|id| (id, "appended")).collect();
    appender.write(&rows(&many)).unwrap();
    appender.finish().unwrap();
    let gone = super::support::row_ids(&engine.snapshot().unwrap(), "t", 2);
    let mut batch = WriteBatch::new();
    batch.delete_row_ids(&table, &gone).unwrap();
    engine.commit(batch).unwrap();
    engine.flush().unwrap();
    engine.compact().unwrap();
    let last = engine.snapshot().unwrap().seq();
    let changes = engine.changes(&t, first.next(), last).unwrap();
    let told: Vec<_> =
        changes.map(|change| change.map(|c| (c.kind, c.rows.num_rows()))).collect::<Result<_, _>>().unwrap();
    assert_eq!(
        told.iter().filter(|(kind, _)| *kind == ChangeKind::Insert).map(|(_, n)| n).sum::<usize>(),
        890
    );
    assert_eq!(told.last(), Some(&(ChangeKind::Delete, 1)));
}

#[test]
fn a_branch_is_a_database_of_its_own_at_any_version() {
    for seed in 0..6 {
        let mut history = History::new(seed, ALL);
        for _ in 0..60 {
            history.step().unwrap();
        }
        history.engine.create_tag("here").unwrap();
        let at = history.dice.random_range(1..history.versions.len());
        let (version, expected) =
            history.versions.iter().nth(at).map(|(v, rows)| (*v, rows.clone())).unwrap();
        let (target, mut quiet) = (SimStorage::new(), |_| Ok(()));
        history.engine.branch_to(Arc::new(target.clone()), Some(version), &mut quiet).unwrap();
        let refused = history.engine.branch_to(Arc::new(target.clone()), None, &mut quiet);
        assert!(matches!(refused, Err(Error::Invalid { .. })), "a branch needs a folder of its own");
        let branch = open(&target, &history.clock).unwrap();
        let found = branch.snapshot().unwrap();
        assert_eq!(
            (found.seq(), branch.tags().unwrap(), branch.retention()),
            (version, vec![], Retention::default())
        );
        let held = found.table(&TableName::public("t")).map(|_| contents(&found, "t")).unwrap_or_default();
        assert_eq!(held, expected, "seed {seed}, version {version}");
        // Each goes its own way.
        let table = match found.table(&TableName::public("t")) {
            Ok(view) => Arc::clone(view.def()),
            Err(_) => keyed(&branch, "t"),
        };
        let mut batch = WriteBatch::new();
        batch.upsert(&table, &widened(&rows(&[(1000, "of the branch")]), &table)).unwrap();
        branch.commit(batch).unwrap();
        branch.compact().unwrap();
        history.check(&history.engine, version, "after writes to the branch");
        assert_eq!(
            contents(&branch.snapshot().unwrap(), "t").get(&1000).map(String::as_str),
            Some("of the branch")
        );
        branch.close().unwrap();
        let report = crate::check_storage(&(Arc::new(target) as _), &mut |_| {}).unwrap();
        assert_eq!(report.problems, Vec::<String>::new());
    }
}

#[test]
fn a_damaged_past_version_is_an_error_and_never_other_rows() {
    let mut history = History::new(11, ALL);
    for _ in 0..120 {
        history.step().unwrap();
    }
    history.engine.close().unwrap();
    for seed in 0..60 {
        let mut dice = SmallRng::seed_from_u64(seed);
        let paths = history.disk.paths();
        let path = &paths[dice.random_range(0..paths.len())];
        let mut bytes = history.disk.contents(path).unwrap();
        if bytes.is_empty() || path == "LOCK" {
            continue;
        }
        let at = dice.random_range(0..bytes.len());
        bytes[at] ^= 1 << dice.random_range(0..8);
        let damaged = super::support::with_bytes(&history.disk, path, &bytes);
        let Ok(engine) = open(&damaged, &history.clock) else { continue };
        for (version, rows) in &history.versions {
            let Ok(past) = engine.at(*version) else { continue };
            let Ok(view) = past.table(&TableName::public("t")) else {
                assert!(rows.is_empty(), "{path}, byte {at}, version {version}");
                continue;
            };
            let parts = view.parts().and_then(|parts| {
                let batches = parts.iter().flat_map(|part| (0..part.num_batches()).map(move |i| (part, i)));
                batches.map(|(part, i)| part.read(i, &[0, 1], false)).collect::<crate::Result<Vec<_>>>()
            });
            let Ok(batches) = parts else { continue };
            let found: usize = batches.iter().map(arrow::array::RecordBatch::num_rows).sum();
            assert_eq!(found, rows.len(), "{path}, byte {at}, version {version}");
        }
    }
}

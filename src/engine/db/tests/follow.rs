//! A read-only engine beside the writer: after every step of the writer it must see exactly what the writer sees.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use arrow::datatypes::{DataType, Field};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::support::{contents, keyed, keyless, keys, row_ids, rows, scan, small};
use crate::io::LocalOptions;
use crate::testing::SimStorage;
use crate::{
    AlterTable, Engine, Error, LocalStorage, Options, Snapshot, Storage, TableName, WriteBatch, WriteMode,
};

fn reading() -> Options {
    Options { read_only: true, ..small() }
}

fn local(dir: &std::path::Path, read_only: bool) -> Arc<dyn Storage> {
    Arc::new(LocalStorage::open(dir, LocalOptions { read_only, ..LocalOptions::default() }).unwrap())
}

/// Every table with its rows, sorted.
fn everything(snapshot: &Snapshot) -> BTreeMap<String, Vec<(i64, String)>> {
    let tables = snapshot.tables();
    let rows = |name: &TableName| {
        let mut rows = scan(&snapshot.table(name).unwrap());
        rows.sort();
        rows
    };
    tables.iter().map(|def| (def.name.to_string(), rows(&def.name))).collect()
}

struct Writer {
    engine: Arc<Engine>,
    dice: SmallRng,
}

impl Writer {
    fn change(&mut self) {
        let ids: Vec<i64> =
            (0..self.dice.random_range(1..6)).map(|_| self.dice.random_range(0..60)).collect();
        let mut pairs: Vec<(i64, &str)> = ids.iter().map(|id| (*id, "some text")).collect();
        pairs.sort_unstable();
        pairs.dedup();
        let mut batch = WriteBatch::new();
        match self.dice.random_range(0..10) {
            0..5 => batch.upsert(&keyed(&self.engine, "k"), &rows(&pairs)).unwrap(),
            5 => batch.insert(&keyless(&self.engine, "l"), &rows(&pairs)).unwrap(),
            6 => batch.delete_keys(&keyed(&self.engine, "k"), &keys(&ids)).unwrap(),
            7 => {
                let table = keyless(&self.engine, "l");
                let gone = row_ids(&self.engine.snapshot().unwrap(), "l", ids[0]);
                batch.delete_row_ids(&table, &gone).unwrap();
            }
            _ => {
                let mut appender = self.engine.appender(&TableName::public("k"), WriteMode::Upsert).unwrap();
                let many: Vec<(i64, &str)> =
                    (20..20 + self.dice.random_range(1..40)).map(|id| (id, "bulk")).collect();
                appender.write(&rows(&many)).unwrap();
                appender.finish().unwrap();
            }
        }
        self.engine.commit(batch).unwrap();
    }

    fn define(&mut self) {
        let (name, other) = (TableName::public("x"), TableName::public("y"));
        let is_there = self.engine.snapshot().unwrap().table(&name).is_ok();
        if !is_there {
            let table = keyed(&self.engine, "x");
            let mut batch = WriteBatch::new();
            batch.insert(&table, &rows(&[(1, "x"), (2, "y")])).unwrap();
            self.engine.commit(batch).unwrap();
            return;
        }
        let field = Arc::new(Field::new(format!("c{}", self.dice.random::<u32>()), DataType::Int64, true));
        match self.dice.random_range(0..3) {
            0 => self.engine.drop_table(&name).unwrap(),
            1 => {
                let change = AlterTable::AddColumn { field, default: None, fill: None };
                self.engine.alter_table(&name, &change).unwrap();
            }
            _ => {
                self.engine.alter_table(&name, &AlterTable::ReplaceTable { other }).unwrap();
            }
        }
    }

    fn step(&mut self, storage: &dyn Fn() -> Arc<dyn Storage>) {
        match self.dice.random_range(0..20) {
            0 => self.engine.flush().unwrap(),
            1 => self.engine.compact().unwrap(),
            2 => drop(self.engine.maintain().unwrap()),
            3 => self.define(),
            4 => {
                self.engine.close().unwrap();
                self.engine = Engine::open(storage(), small()).unwrap();
            }
            _ => self.change(),
        }
    }
}

fn follow(seed: u64, writing: &dyn Fn() -> Arc<dyn Storage>, reading_from: Arc<dyn Storage>) {
    let mut writer =
        Writer { engine: Engine::open(writing(), small()).unwrap(), dice: SmallRng::seed_from_u64(seed) };
    keyed(&writer.engine, "k");
    keyless(&writer.engine, "l");
    let reader = Engine::open(Arc::clone(&reading_from), reading()).unwrap();
    let mut held: Vec<(Snapshot, BTreeMap<_, _>)> = Vec::new();
    for step in 0..120 {
        writer.step(writing);
        if writer.dice.random() {
            continue;
        }
        let (wrote, read) = (writer.engine.snapshot().unwrap(), reader.snapshot().unwrap());
        assert_eq!(everything(&read), everything(&wrote), "seed {seed}, step {step}");
        assert_eq!(read.seq(), wrote.seq(), "seed {seed}, step {step}");
        let anew = Engine::open(Arc::clone(&reading_from), reading()).unwrap();
        assert_eq!(
            everything(&anew.snapshot().unwrap()),
            everything(&wrote),
            "seed {seed}, step {step}, anew"
        );
        held.push((read.clone(), everything(&read)));
    }
    for (snapshot, was) in held {
        assert_eq!(everything(&snapshot), was, "seed {seed}: a snapshot changed");
    }
}

#[test]
fn a_reader_sees_each_commit_on_a_disk() {
    for seed in 0..6 {
        let dir = tempfile::tempdir().unwrap();
        drop(Engine::open(local(dir.path(), false), small()).unwrap());
        follow(seed, &|| local(dir.path(), false), local(dir.path(), true));
    }
}

#[test]
fn a_reader_sees_each_commit_where_files_have_no_stamps() {
    for seed in 100..106 {
        let disk = SimStorage::new();
        follow(seed, &|| Arc::new(disk.clone()), Arc::new(disk.clone()));
    }
}

#[test]
fn a_reader_follows_a_writer_that_was_killed_and_its_successor() {
    let disk = SimStorage::new();
    let first = Engine::open(Arc::new(disk.clone()), small()).unwrap();
    let table = keyed(&first, "t");
    let put = |engine: &Engine, id| {
        let mut batch = WriteBatch::new();
        batch.upsert(&table, &rows(&[(id, "a")])).unwrap();
        engine.commit(batch).unwrap();
    };
    put(&first, 1);
    put(&first, 2);
    let reader = Engine::open(Arc::new(disk.clone()), reading()).unwrap();
    assert_eq!(contents(&reader.snapshot().unwrap(), "t").len(), 2);
    // The lock of the killed process is free; its memory is gone.
    disk.free_lock();
    std::mem::forget(first);
    let second = Engine::open(Arc::new(disk.clone()), small()).unwrap();
    assert_eq!(contents(&reader.snapshot().unwrap(), "t").len(), 2);
    put(&second, 3);
    assert_eq!(contents(&reader.snapshot().unwrap(), "t").len(), 3);
    second.flush().unwrap();
    assert_eq!(contents(&reader.snapshot().unwrap(), "t").len(), 3);
}

#[test]
fn damage_is_reported_and_not_taken_for_a_writer_at_work() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Engine::open(local(dir.path(), false), small()).unwrap();
    let table = keyed(&writer, "t");
    for id in 0..20 {
        let mut batch = WriteBatch::new();
        batch.upsert(&table, &rows(&[(id, "a")])).unwrap();
        writer.commit(batch).unwrap();
    }
    let log = std::fs::read_dir(dir.path().join("wal")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&log).unwrap();
    bytes[300] ^= 1;
    std::fs::write(&log, bytes).unwrap();
    let refused = Engine::open(local(dir.path(), true), reading());
    assert!(matches!(refused, Err(Error::Corrupt { .. })), "{refused:?}");
}

/// Commit `n` writes `n` under keys 1 and 2 and inserts key 1000 + `n`.
fn commit_number(engine: &Engine, n: i64) {
    let text = n.to_string();
    let mut batch = WriteBatch::new();
    let table = keyed(engine, "t");
    batch.upsert(&table, &rows(&[(1, &text), (2, &text), (1000 + n, "row")])).unwrap();
    engine.commit(batch).unwrap();
}

/// The number of commits that a snapshot sees; fails when it is not a prefix of them.
fn prefix(snapshot: &Snapshot) -> i64 {
    let found = contents(snapshot, "t");
    let Some(n) = found.get(&1) else { return 0 };
    let n: i64 = n.parse().unwrap();
    assert_eq!(found.get(&2), Some(&n.to_string()), "half a commit");
    let all: Vec<i64> = found.keys().copied().filter(|id| *id > 1000).collect();
    assert_eq!(all, (1001..=1000 + n).collect::<Vec<_>>(), "not a prefix of the commits");
    n
}

#[test]
fn readers_race_a_writer_that_removes_files_under_them() {
    const COMMITS: i64 = 500;
    let dir = tempfile::tempdir().unwrap();
    let writer = Engine::open(local(dir.path(), false), small()).unwrap();
    keyed(&writer, "t");
    writer.close().unwrap();
    let (acknowledged, done) = (AtomicI64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for mmap in [true, false, true] {
            let (dir, acknowledged, done) = (dir.path(), &acknowledged, &done);
            scope.spawn(move || {
                let options = Options { mmap, ..reading() };
                let storage = LocalOptions { mmap, read_only: true, create: false, cache_bytes: 1 << 20 };
                let storage = Arc::new(LocalStorage::open(dir, storage).unwrap());
                let reader = Engine::open(Arc::clone(&storage) as Arc<dyn Storage>, options.clone()).unwrap();
                let mut seen = 0;
                while !done.load(Ordering::Acquire) {
                    let known = acknowledged.load(Ordering::Acquire);
                    let now = prefix(&reader.snapshot().unwrap());
                    assert!(now >= known, "commit {known} was acknowledged, {now} is seen");
                    assert!(now >= seen, "time ran backwards from {seen} to {now}");
                    seen = now;
                    let anew =
                        Engine::open(Arc::clone(&storage) as Arc<dyn Storage>, options.clone()).unwrap();
                    assert!(prefix(&anew.snapshot().unwrap()) >= known);
                }
            });
        }
        let _done = Done(&done);
        let mut engine = Engine::open(local(dir.path(), false), small()).unwrap();
        for n in 1..=COMMITS {
            commit_number(&engine, n);
            acknowledged.store(n, Ordering::Release);
            match n % 100 {
                13 | 47 | 81 => engine.flush().unwrap(),
                60 => engine.compact().unwrap(),
                99 => {
                    engine.close().unwrap();
                    engine = Engine::open(local(dir.path(), false), small()).unwrap();
                }
                _ => {}
            }
        }
    });
}

/// Lets the readers go also when the writer fails.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

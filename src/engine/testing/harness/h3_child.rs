//! The process that H3 kills: four writers, one for each durability level, and two readers on one database.
//!
//! What writer `t` writes in its commit `n` is a function of `t` and `n` alone, so the parent can tell from the last
//! `n` of each writer what the whole database must hold. Each acknowledgement goes down a pipe as `A t n seq`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use trilith_engine::{
    Durability, Engine, Error, IfExists, Options, Result, Snapshot, TableName, WriteBatch, WriteMode,
};

use crate::arrow_rows::{batch, read_table, spec};
use crate::chance::pick;
use crate::h8_model::BLOB_BYTES;
use crate::model::{Column, Kind, Row, Table, Value};

/// The level of each writer.
pub const LEVELS: [Durability; 4] =
    [Durability::None, Durability::Buffered, Durability::Group, Durability::Strict];
const SLOTS: i64 = 16;
const BULK_ROWS: i64 = 150;

/// What a database holds: for each writer its last commit.
pub type Progress = [i64; 4];

fn table(key: &[&str], rest: &[(&str, Kind)]) -> Table {
    let mut columns: Vec<Column> =
        key.iter().map(|name| Column { name: (*name).into(), kind: Kind::Int }).collect();
    columns.extend(rest.iter().map(|(name, kind)| Column { name: (*name).into(), kind: *kind }));
    Table { key: key.len(), columns, rows: BTreeMap::new() }
}

/// Newest commit of each slot of each writer.
fn slots() -> Table {
    table(&["writer", "slot"], &[("n", Kind::Int), ("text", Kind::Text)])
}

/// Every row of every commit, without a key.
fn log() -> Table {
    table(&[], &[("id", Kind::Int), ("text", Kind::Text)])
}

fn is_bulk(writer: i64, n: i64) -> bool {
    writer == 3 && n % 20 == 19
}

fn text(writer: i64, n: i64) -> Value {
    Value::Text(format!("{writer}/{n} {}", "x".repeat(((writer * 7 + n * 13) % 90) as usize)).into())
}

fn log_rows(writer: i64, n: i64) -> Vec<Row> {
    let count = if is_bulk(writer, n) { BULK_ROWS } else { 1 + n % 3 };
    (0..count).map(|i| vec![Value::Int(writer << 40 | n << 16 | i), text(writer, n)]).collect()
}

fn slot_row(writer: i64, n: i64) -> Row {
    vec![Value::Int(writer), Value::Int(n % SLOTS), Value::Int(n), text(writer, n)]
}

fn freed_slot(writer: i64, n: i64) -> Option<Row> {
    (n % 5 == 0).then(|| vec![Value::Int(writer), Value::Int((n + 8) % SLOTS)])
}

/// What the tables hold once each writer has made `progress` commits.
pub fn expected(progress: Progress) -> (Table, Table) {
    let (mut slots, mut log) = (slots(), log());
    for (writer, &last) in (0..).zip(&progress) {
        for n in 1..=last {
            log.rows.extend(log_rows(writer, n).into_iter().map(|row| (row[..1].to_vec(), Arc::new(row))));
            if !is_bulk(writer, n) {
                let row = slot_row(writer, n);
                slots.rows.insert(row[..2].to_vec(), Arc::new(row));
                freed_slot(writer, n).map(|key| slots.rows.remove(&key));
            }
        }
    }
    (slots, log)
}

/// Reads a database and says how far each writer got, or what is wrong with it.
pub fn progress(snapshot: &Snapshot) -> Result<Progress, String> {
    let read = |name: &str| {
        let view = snapshot.table(&TableName::public(name)).ok();
        view.map(|view| read_table(&view).map_err(|error| error.to_string())).transpose()
    };
    let (slots, log) = (read("slots")?, read("log")?);
    let mut progress = [0; 4];
    for key in log.iter().flat_map(|log| log.rows.keys()) {
        let Value::Int(id) = key[0] else { continue };
        let last = &mut progress[(id >> 40) as usize];
        *last = (*last).max(id >> 16 & 0xFF_FFFF);
    }
    let (slots_expected, log_expected) = expected(progress);
    let differs = |found: Option<Table>, expected: Table| {
        let found = found.unwrap_or_else(|| Table { rows: BTreeMap::new(), ..expected.clone() });
        (found != expected).then(|| {
            let missing = expected.rows.values().find(|row| !found.rows.values().any(|other| other == *row));
            let extra = found.rows.values().find(|row| !expected.rows.values().any(|other| other == *row));
            format!("with commits {progress:?}: missing {missing:?}, too many {extra:?}")
        })
    };
    differs(log, log_expected).or(differs(slots, slots_expected)).map_or(Ok(progress), Err)
}

/// Settings drawn anew at each start.
pub fn options(dice: &mut SmallRng) -> Options {
    Options {
        mmap: dice.random(),
        encryption_key: crate::encrypted::key(),
        memtable_bytes: *pick(dice, &[4 << 10, 32 << 10, 1 << 20]),
        direct_append_bytes: *pick(dice, &[1, 4 << 10, 1 << 20]),
        batch_rows: *pick(dice, &[16, 256]),
        file_bytes: *pick(dice, &[8 << 10, 64 << 10, 4 << 20]),
        blob_bytes: *pick(dice, &BLOB_BYTES),
        ..Options::default()
    }
}

/// Opens a database. Between its fork and its exec, a child that another thread starts holds a copy of every lock that
/// this process has, so one that is held by nobody any more may still be busy for a moment.
pub fn open(folder: &Path, options: &Options) -> Result<Arc<Engine>> {
    for _ in 0..200 {
        match Engine::open_path(folder, options.clone()) {
            Err(Error::Busy { .. }) => std::thread::sleep(Duration::from_millis(5)),
            outcome => return outcome,
        }
    }
    Engine::open_path(folder, options.clone())
}

/// Makes the tables, unless they are there.
pub fn create_tables(engine: &Engine) -> Result<()> {
    for (name, table) in [("slots", slots()), ("log", log())] {
        engine.create_table(&spec(name, &table), IfExists::Keep)?;
    }
    Ok(())
}

/// Writes and reads until it is killed.
pub fn main(folder: &Path, seed: u64) {
    let mut dice = SmallRng::seed_from_u64(seed);
    let engine = open(folder, &options(&mut dice)).unwrap();
    create_tables(&engine).unwrap();
    let before = progress(&engine.snapshot().unwrap());
    say(&format!("R {before:?}"));
    let before = before.unwrap();
    std::thread::scope(|scope| {
        for (writer, last) in (0..).zip(before) {
            let engine = &engine;
            scope.spawn(move || write(engine, writer, last));
        }
        for _ in 0..2 {
            scope.spawn(|| read(&engine));
        }
    });
}

/// Tells the parent.
pub fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // The parent may have closed its end: then it is about to kill this process.
    let _ = out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush());
}

fn write(engine: &Engine, writer: i64, last: i64) {
    for n in last + 1.. {
        match commit(engine, writer, n) {
            Ok(seq) => say(&format!("A {writer} {n} {seq}")),
            Err(error) => {
                say(&format!("W writer {writer}, commit {n}: {error}"));
                return;
            }
        }
    }
}

/// Makes commit `n` of a writer.
pub fn commit(engine: &Engine, writer: i64, n: i64) -> Result<u64> {
    let rows = batch(&log().columns, &log_rows(writer, n));
    if is_bulk(writer, n) {
        // It takes a number of its own after this one: whoever sees its rows sees all commits up to here.
        let before = engine.snapshot()?.seq();
        let mut appender = engine.appender(&TableName::public("log"), WriteMode::Insert)?;
        appender.write(&rows)?;
        return appender.finish().map(|_| before.0);
    }
    let snapshot = engine.snapshot()?;
    let def = |name: &str| snapshot.table(&TableName::public(name)).map(|view| Arc::clone(view.def()));
    let mut changes = WriteBatch::new();
    changes.insert(&def("log")?, &rows)?;
    changes.upsert(&def("slots")?, &batch(&slots().columns, &[slot_row(writer, n)]))?;
    if let Some(key) = freed_slot(writer, n) {
        changes.delete_keys(&def("slots")?, &batch(&slots().columns[..2], &[key]))?;
    }
    changes.durability(LEVELS[writer as usize]);
    Ok(engine.commit(changes)?.0)
}

/// Every snapshot must be whole, and none older than the one before.
fn read(engine: &Engine) {
    let mut last = [0; 4];
    loop {
        let found =
            engine.snapshot().map_err(|error| error.to_string()).and_then(|snapshot| progress(&snapshot));
        match found {
            Ok(now) if now.iter().zip(&last).all(|(now, last)| now >= last) => last = now,
            Ok(now) => return say(&format!("W a reader went from {last:?} to {now:?}")),
            Err(text) => return say(&format!("W a reader: {text}")),
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

//! H19, first half: backups taken while a writer runs, each of them the database as of one commit.
//!
//! What a commit writes is a pure function of its number, so the newest commit in a backup says all that must be in
//! it. The power also goes at some call of each backup: then the folder holds it or the one before; without one before, it
//! may be refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use trilith_engine::testing::{CrashPolicy, SimStorage};
use trilith_engine::{CopyMode, Durability, Engine, Options, Result};

use crate::alphabet::create;
use crate::arrow_rows::read_state;
use crate::model::{Change, Row, State, Value, difference};
use crate::op::{self, Op};
use crate::report::{Report, Verdict};
use crate::specimen;

/// Commits of one life of the writer.
const COMMITS: i64 = 60;
/// Backups taken meanwhile, into one folder.
const BACKUPS: u64 = 3;

fn row(id: i64, n: i64) -> Row {
    vec![Value::Int(id), Value::Text(format!("commit {n}").into())]
}

fn commit(n: i64) -> Op {
    let keyed = Change::Upsert(vec![row(n % 7, n), row(100 + n, n)]);
    Op::Batch(vec![("k".into(), keyed), ("l".into(), Change::Insert(vec![row(n, n)]))], Durability::Buffered)
}

/// What there is after commit `n`.
fn after(n: i64) -> State {
    let mut state = State::new();
    for step in [create("k", 1), create("l", 0)].into_iter().chain((1..=n).map(commit)) {
        op::apply(&mut state, &step);
    }
    state
}

/// One life of a writer, and the backups taken during it.
pub fn trial(seed: u64, report: &mut Report) {
    let mut dice = SmallRng::seed_from_u64(seed);
    let options = Options { background: dice.random(), memtable_bytes: 2 << 10, ..specimen::options() };
    let (home, target) = (SimStorage::new(), SimStorage::new());
    target.record_history();
    let engine = Engine::open(Arc::new(home), options).unwrap();
    for step in [create("k", 1), create("l", 0)] {
        op::run(&engine, &step, &State::new()).unwrap();
    }
    let (acked, stop) = (AtomicI64::new(0), AtomicBool::new(false));
    let flushes: Vec<bool> = (0..COMMITS).map(|_| dice.random_ratio(1, 12)).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| write(&engine, &acked, &stop, &flushes));
        for round in 0..BACKUPS {
            std::thread::sleep(std::time::Duration::from_micros(dice.random_range(0..3_000)));
            let before = acked.load(Ordering::SeqCst);
            let calls = target.calls();
            let taken = engine.backup_to(Arc::new(target.clone()), CopyMode::Link, &mut |_| Ok(()));
            report.count(match taken {
                Ok(_) => judge(&target.kill_image(), before, false),
                Err(error) => Verdict::Wrong(format!("backup: {error}")),
            });
            let cut = dice.random_range(calls..=target.calls());
            let image = target.crash_image_at(cut, dice.random(), CrashPolicy::RANDOM);
            report.count(judge(&image, 0, round == 0).at(&format!("seed {seed}, cut at call {cut}")));
        }
        stop.store(true, Ordering::SeqCst);
    });
}

fn write(engine: &Engine, acked: &AtomicI64, stop: &AtomicBool, flushes: &[bool]) {
    for (n, flush) in (1..).zip(flushes) {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        op::run(engine, &commit(n), &after(0)).unwrap();
        acked.store(n, Ordering::SeqCst);
        if *flush {
            engine.compact().unwrap();
        }
    }
}

/// A backup holds a commit not older than `least`, with all before it and nothing else. A `torn` one may be refused.
fn judge(backup: &SimStorage, least: i64, torn: bool) -> Verdict {
    let found = match read(backup) {
        Ok(found) => found,
        Err(_) if torn => return Verdict::Survived,
        Err(error) => return Verdict::Wrong(format!("a backup does not open: {error}")),
    };
    if torn && found.is_empty() {
        return Verdict::Survived;
    }
    let n = found.get("l").map_or(0, |table| table.rows.len()) as i64;
    if n < least {
        return Verdict::Lost(format!("a backup ends with commit {n}, and {least} had been acknowledged"));
    }
    match difference(&after(n), &found) {
        None => Verdict::Survived,
        Some(text) => Verdict::Wrong(format!("a backup as of commit {n}: {text}")),
    }
}

fn read(backup: &SimStorage) -> Result<State> {
    let options = Options { read_only: true, create: false, ..specimen::options() };
    read_state(&Engine::open(Arc::new(backup.clone()), options)?.snapshot()?)
}

//! Sequences of operations, of a shape that libFuzzer's bytes fill in, on the engine and on the model of the harnesses.

use std::collections::BTreeSet;
use std::sync::Arc;

use arbitrary::Arbitrary;
use trilith_engine::testing::{CrashPolicy, SimStorage};
use trilith_engine::{Durability, Engine, Options, WriteMode, check_storage};

use crate::alphabet::create;
use crate::arrow_rows::read_state;
use crate::history::{Cut, History};
use crate::model::{Change, Expect, Row, State, Value};
use crate::op::{self, Op};
use crate::report::Verdict;

/// Most steps of a case, and most rows of a step.
const STEPS_MAX: usize = 40;
const ROWS_MAX: usize = 24;

/// How a database is opened, and what is done with it.
#[derive(Arbitrary, Clone, Debug)]
pub struct Case {
    memtable: Size,
    append: Size,
    batch: Size,
    file: Size,
    large_values: bool,
    mmap: bool,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Size {
    Least,
    Little,
    Much,
}

impl Size {
    fn of(self, little: usize) -> usize {
        match self {
            Self::Least => 1,
            Self::Little => little,
            Self::Much => 1 << 20,
        }
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Level {
    None,
    Buffered,
    Group,
    Strict,
}

#[derive(Arbitrary, Clone, Debug)]
enum Step {
    Insert { keys: Vec<u8>, level: Level },
    Upsert { keys: Vec<u8>, text: u8, level: Level },
    Delete { keys: Vec<u8>, level: Level },
    Append { rows: u8, text: u8, level: Level },
    Both { keys: Vec<u8>, rows: u8, level: Level },
    BulkUpsert { keys: Vec<u8>, text: u8, piece: u8 },
    BulkAppend { rows: u8, piece: u8 },
    Get { keys: Vec<u8> },
    Flush,
    Compact,
    Maintain,
    Truncate,
    Reopen,
    Kill,
    PowerCut { seed: u8, policy: u8 },
}

/// A case under way.
struct Run {
    disk: SimStorage,
    options: Options,
    engine: Arc<Engine>,
    history: History,
    /// First column of the next row of the table without a key.
    next: i64,
}

/// Runs a case; panics where engine and model differ.
pub fn run(case: &Case) {
    let options = Options {
        background: false,
        mmap: case.mmap,
        memtable_bytes: case.memtable.of(4 << 10).max(1 << 10),
        direct_append_bytes: case.append.of(2 << 10),
        batch_rows: case.batch.of(7),
        file_bytes: case.file.of(8 << 10),
        blob_bytes: usize::from(case.large_values),
        ..Options::default()
    };
    let disk = SimStorage::new();
    let engine = open(&disk, &options);
    let mut run = Run { disk, options, engine, history: History::new(State::new()), next: 0 };
    for table in [create("k", 1), create("l", 0)] {
        run.step(&table);
    }
    case.steps.iter().take(STEPS_MAX).for_each(|step| run.take(step));
    run.compare();
    let storage: Arc<dyn trilith_engine::Storage> = Arc::new(run.disk.clone());
    let report = check_storage(&storage, &mut |_| {}).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
}

fn open(disk: &SimStorage, options: &Options) -> Arc<Engine> {
    disk.set_mapped(options.mmap);
    Engine::open(Arc::new(disk.clone()), options.clone()).unwrap()
}

fn level(level: Level) -> Durability {
    match level {
        Level::None => Durability::None,
        Level::Buffered => Durability::Buffered,
        Level::Group => Durability::Group,
        Level::Strict => Durability::Strict,
    }
}

fn row(id: i64, text: u8) -> Row {
    vec![Value::Int(id), Value::Text(format!("{id} {}", "x".repeat(usize::from(text))).into())]
}

/// Each key once.
fn distinct(keys: &[u8]) -> impl Iterator<Item = u8> {
    keys.iter().copied().collect::<BTreeSet<u8>>().into_iter().take(ROWS_MAX)
}

fn keyed(keys: &[u8], text: u8) -> Vec<Row> {
    distinct(keys).map(|key| row(key.into(), text)).collect()
}

fn only_keys(keys: &[u8]) -> Vec<Row> {
    distinct(keys).map(|key| vec![Value::Int(key.into())]).collect()
}

impl Run {
    fn take(&mut self, step: &Step) {
        match step {
            Step::Insert { keys, level: at } => self.batch(vec![("k", Change::Insert(keyed(keys, 9)))], *at),
            Step::Upsert { keys, text, level: at } => {
                self.batch(vec![("k", Change::Upsert(keyed(keys, *text)))], *at);
            }
            Step::Delete { keys, level: at } => self.batch(vec![("k", Change::Delete(only_keys(keys)))], *at),
            Step::Append { rows, text, level: at } => {
                let rows = self.fresh(*rows, *text);
                self.batch(vec![("l", Change::Insert(rows))], *at);
            }
            Step::Both { keys, rows, level: at } => {
                let rows = self.fresh(*rows, 3);
                let changes = vec![("k", Change::Upsert(keyed(keys, 1))), ("l", Change::Insert(rows))];
                self.batch(changes, *at);
            }
            Step::BulkUpsert { keys, text, piece } => {
                self.bulk("k", WriteMode::Upsert, keyed(keys, *text), *piece);
            }
            Step::BulkAppend { rows, piece } => {
                let rows = self.fresh(*rows, 5);
                self.bulk("l", WriteMode::Insert, rows, *piece);
            }
            Step::Get { keys } => self.step(&Op::Get { table: "k".into(), keys: only_keys(keys) }),
            Step::Flush => self.step(&Op::Flush),
            Step::Compact => self.step(&Op::Compact),
            Step::Maintain => self.step(&Op::Maintain),
            Step::Truncate => {
                self.step(&Op::Drop("l".into()));
                self.step(&create("l", 0));
            }
            Step::Reopen => {
                self.engine.close().unwrap();
                self.engine = open(&self.disk, &self.options);
                self.compare();
            }
            Step::Kill => self.crash(self.disk.kill_image(), Cut::Kill),
            Step::PowerCut { seed, policy } => {
                let policies = [CrashPolicy::WORST, CrashPolicy::BEST, CrashPolicy::RANDOM];
                let policy = policies[usize::from(*policy) % policies.len()];
                self.crash(self.disk.crash_image((*seed).into(), policy), Cut::Power);
            }
        }
    }

    fn fresh(&mut self, rows: u8, text: u8) -> Vec<Row> {
        let first = self.next;
        self.next += i64::from(rows).min(ROWS_MAX as i64);
        (first..self.next).map(|id| row(id, text)).collect()
    }

    fn batch(&mut self, changes: Vec<(&str, Change)>, at: Level) {
        let changes = changes.into_iter().map(|(table, change)| (table.to_owned(), change)).collect();
        self.step(&Op::Batch(changes, level(at)));
    }

    fn bulk(&mut self, table: &str, mode: WriteMode, rows: Vec<Row>, piece: u8) {
        self.step(&Op::Bulk { table: table.into(), mode, rows, piece: usize::from(piece).max(1) });
    }

    fn step(&mut self, op: &Op) {
        let (expect, after) = self.history.plan(op);
        if expect == Expect::Skip {
            return;
        }
        let outcome = op::run(&self.engine, op, self.history.state());
        assert!(op::agrees(expect, &outcome), "{op:?}: {outcome:?}, expected {expect:?}");
        if expect == Expect::Done {
            self.history.record(op, after, 0, Some(0));
        }
    }

    fn crash(&mut self, image: SimStorage, cut: Cut) {
        self.disk = image;
        self.engine = open(&self.disk, &self.options);
        let found = read_state(&self.engine.snapshot().unwrap()).unwrap();
        let verdict = self.history.judge(&found, 0, cut);
        assert!(matches!(verdict, Verdict::Survived), "{verdict:?}");
    }

    fn compare(&self) {
        let found = read_state(&self.engine.snapshot().unwrap()).unwrap();
        assert_eq!(crate::model::difference(self.history.state(), &found), None);
    }
}

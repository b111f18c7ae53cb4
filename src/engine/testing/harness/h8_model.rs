//! H8: the engine against the oracle, one operation after the other.
//!
//! Injects restarts, kills (the process goes, the disk stays) and every kind of operation in any order. After each
//! restart and at random moments the whole database is compared; remembered snapshots must still show what they saw.

use std::collections::VecDeque;
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use trilith_engine::testing::SimStorage;
use trilith_engine::{Durability, Engine, Options, Snapshot};

use crate::arrow_rows::read_state;
use crate::chance::pick;
use crate::generate::{Generator, Menu};
use crate::model::{Change, Expect, State, apply_batch, difference};
use crate::op::{Op, agrees, apply, run};
use crate::report::{Budget, Report, Verdict};
use crate::{lanes, shrink, stale};

/// Operations in one case.
const OPS: usize = 110;
/// Operations that the floor asks for in each of its cases.
const OPS_PER_CASE: u64 = 100;

/// Mostly so few that every fifth text is a large value.
pub const BLOB_BYTES: [usize; 4] = [1, 1, 1, 0];

/// Sizes at which a handful of rows already makes files, batches and merges.
pub fn options(dice: &mut SmallRng) -> Options {
    Options {
        background: false,
        durability: Durability::Group,
        mmap: dice.random(),
        encryption_key: crate::encrypted::key(),
        memtable_bytes: *pick(dice, &[4 << 10, 32 << 10, 1 << 20]),
        direct_append_bytes: *pick(dice, &[1, 2 << 10, 1 << 20]),
        batch_rows: if dice.random_ratio(1, 12) { 1 } else { *pick(dice, &[7, 64]) },
        file_bytes: if dice.random_ratio(1, 12) { 1 } else { *pick(dice, &[8 << 10, 1 << 20]) },
        blob_bytes: *pick(dice, &BLOB_BYTES),
        ..Options::default()
    }
}

/// A case, complete.
#[derive(Clone, Debug)]
pub struct Case {
    options: Options,
    ops: Vec<Op>,
    /// Compares everything after each step, not only now and then.
    pedantic: bool,
}

struct Run {
    storage: SimStorage,
    engine: Arc<Engine>,
    state: State,
    snapshots: VecDeque<(Snapshot, State)>,
    /// Snapshots of earlier engines, at the front.
    outlived: usize,
}

/// Runs the harness.
pub fn harness(budget: &Budget) -> Report {
    let mut report = lanes::run(budget, |seed, report| {
        let case = generate(seed);
        report.add("ops", case.ops.len() as u64);
        match outcome(&case) {
            Ok(()) => report.count(Verdict::Survived),
            Err(text) => {
                let pedantic = Case { pedantic: true, ..case.clone() };
                let base = if outcome(&pedantic).is_err() { pedantic } else { case };
                let least = shrink::shrink(base.ops.clone(), |ops| {
                    let again = outcome(&Case { ops: ops.to_vec(), ..base.clone() });
                    again.is_err_and(|again| again.contains("panic:") == text.contains("panic:"))
                });
                let again = outcome(&Case { ops: least.clone(), ..base.clone() }).err().unwrap_or_default();
                let (options, least) = (&base.options, shrink::show(&least));
                report.count(Verdict::Wrong(format!(
                    "seed {seed}: {text}\n  least: {again}\n  {options:?}\n  {least}"
                )));
            }
        }
    });
    let ops = report.extra.iter().find(|(name, _)| *name == "ops").map_or(0, |(_, ops)| *ops);
    if ops < budget.floor * OPS_PER_CASE {
        report.count(Verdict::Wrong(format!("only {ops} operations")));
    }
    report
}

fn generate(seed: u64) -> Case {
    let mut dice = SmallRng::seed_from_u64(seed);
    let options = options(&mut dice);
    let mut generator = Generator::new(dice, Menu::Model);
    let mut state = State::new();
    let mut ops = Vec::new();
    while ops.len() < OPS {
        let op = generator.op(&state);
        if apply(&mut state, &op) != Expect::Skip {
            ops.push(op);
        }
    }
    Case { options, ops, pedantic: seed.is_multiple_of(16) }
}

/// Runs a case; a panic is an error too.
fn outcome(case: &Case) -> Result<(), String> {
    let attempt = std::panic::AssertUnwindSafe(|| execute(case));
    lanes::tick();
    std::panic::catch_unwind(attempt)
        .unwrap_or_else(|panic| Err(format!("panic: {}", lanes::panic_text(&*panic))))
}

fn execute(case: &Case) -> Result<(), String> {
    let storage = SimStorage::new();
    storage.set_mapped(case.options.mmap);
    let engine = open(&storage, &case.options)?;
    let mut run = Run { storage, engine, state: State::new(), snapshots: VecDeque::new(), outlived: 0 };
    for (at, op) in case.ops.iter().enumerate() {
        run.step(op, &case.options).map_err(|text| format!("step {at}: {text}"))?;
        if case.pedantic {
            run.compare().map_err(|text| format!("after step {at}: {text}"))?;
        }
    }
    run.compare().map_err(|text| format!("at the end: {text}"))
}

fn open(storage: &SimStorage, options: &Options) -> Result<Arc<Engine>, String> {
    Engine::open(Arc::new(storage.clone()), options.clone()).map_err(|error| format!("open: {error}"))
}

impl Run {
    fn step(&mut self, op: &Op, options: &Options) -> Result<(), String> {
        let mut after = self.state.clone();
        let expect = apply(&mut after, op);
        if expect == Expect::Skip {
            return Ok(());
        }
        let outcome = run(&self.engine, op, &self.state);
        if !agrees(expect, &outcome) {
            return Err(format!("{outcome:?}, expected {expect:?}"));
        }
        self.state = after;
        match op {
            Op::Reopen => {
                self.engine.close().map_err(|error| format!("close: {error}"))?;
                // Once the lock is free, the next opening may remove what only an old snapshot needs.
                self.snapshots.clear();
                self.outlived = 0;
                self.engine = open(&self.storage, options)?;
                self.compare()?;
            }
            Op::Kill => self.kill(options)?,
            Op::Snapshot => {
                let snapshot = self.engine.snapshot().map_err(|error| error.to_string())?;
                self.snapshots.push_back((snapshot, self.state.clone()));
            }
            Op::CheckSnapshots => self.check_snapshots()?,
            Op::Stale(changes) => self.stale(changes)?,
            _ => {}
        }
        Ok(())
    }

    /// The generator of this harness asks for no commit that a kill may lose.
    fn kill(&mut self, options: &Options) -> Result<(), String> {
        self.storage = self.storage.kill_image();
        self.storage.set_mapped(options.mmap);
        self.engine = open(&self.storage, options)?;
        self.outlived = self.snapshots.len();
        self.compare()
    }

    fn stale(&mut self, changes: &[(String, Change)]) -> Result<(), String> {
        let newest = self.snapshots.back().filter(|_| self.snapshots.len() > self.outlived);
        let Some((snapshot, then)) = newest else { return Ok(()) };
        if !stale::makes_sense(changes, then, &self.state) {
            return Ok(());
        }
        if stale::commit(&self.engine, changes, (snapshot, then), &self.state)? {
            apply_batch(&mut self.state, changes);
        }
        Ok(())
    }

    fn compare(&self) -> Result<(), String> {
        let snapshot = self.engine.snapshot().map_err(|error| error.to_string())?;
        let found = read_state(&snapshot).map_err(|error| format!("reading: {error}"))?;
        difference(&self.state, &found).map_or(Ok(()), Err)
    }

    fn check_snapshots(&mut self) -> Result<(), String> {
        for (age, (snapshot, expected)) in self.snapshots.iter().rev().enumerate() {
            let found = read_state(snapshot).map_err(|error| format!("snapshot {age} back: {error}"))?;
            difference(expected, &found)
                .map_or(Ok(()), |text| Err(format!("snapshot {age} back: {text}")))?;
        }
        self.snapshots.pop_front();
        self.outlived = self.outlived.saturating_sub(1);
        Ok(())
    }
}

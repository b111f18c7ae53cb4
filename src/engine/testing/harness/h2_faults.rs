//! H2: every storage call of a workload fails, once or for good, with every error, with or without an effect.
//!
//! Demands: an error and not a panic, nothing half done, readers undisturbed, and after the fault is gone either the
//! same engine goes on or, once it has stopped itself, a new one does. At the end the power goes: whatever was
//! acknowledged, before or after a failed sync, must be there.

use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use trilith_engine::testing::{CallKind, CrashPolicy, Fault, FaultError, SimStorage};
use trilith_engine::{ClosedReason, Engine, Error, Options};

use crate::arrow_rows::read_state;
use crate::chance::pick;
use crate::generate::{Generator, Menu};
use crate::h8_model::options;
use crate::history::{Cut, History};
use crate::model::{Expect, State, difference};
use crate::op::{Op, agrees, run};
use crate::planted::{Bug, Planted};
use crate::report::{Budget, Report, Verdict};
use crate::{lanes, shrink};

/// Operations of one workload.
const OPS: usize = 9;
/// Runs of one workload, each with another fault.
const RUNS: u64 = 120;

const KINDS: [Option<CallKind>; 8] = [
    None,
    Some(CallKind::Append),
    Some(CallKind::Sync),
    Some(CallKind::SyncDir),
    Some(CallKind::Rename),
    Some(CallKind::Create),
    Some(CallKind::Read),
    Some(CallKind::Open),
];

/// Runs the harness.
pub fn harness(budget: &Budget) -> Report {
    faults(budget, None)
}

/// Runs it on a storage with a bug.
pub fn faults(budget: &Budget, bug: Option<Bug>) -> Report {
    lanes::run(budget, |seed, report| {
        let mut dice = SmallRng::seed_from_u64(seed);
        let options = options(&mut dice);
        let ops = workload(SmallRng::seed_from_u64(dice.random()));
        let calls = calls_of(&options, &ops);
        for run in 0..RUNS {
            let fault = draw(&mut dice, calls, run);
            lanes::tick();
            let guarded = std::panic::AssertUnwindSafe(|| trial(&options, &ops, fault, bug, dice.random()));
            let (fired, verdict) = std::panic::catch_unwind(guarded)
                .unwrap_or_else(|panic| (true, Verdict::Crash(lanes::panic_text(&*panic))));
            let verdict =
                verdict.at(&format!("seed {seed}, {fault:?}, {options:?}\n  {}\n", shrink::show(&ops)));
            if fired || !matches!(verdict, Verdict::Survived) {
                report.count(verdict);
            }
            if !report.failures.is_empty() {
                return;
            }
        }
    })
}

fn workload(dice: SmallRng) -> Vec<Op> {
    let mut generator = Generator::new(dice, Menu::Writes);
    let mut history = History::new(State::new());
    let mut ops = Vec::new();
    while ops.len() < OPS {
        let op = if ops.len() == 6 { Op::Reopen } else { generator.op(history.state()) };
        let (expect, after) = history.plan(&op);
        if expect != Expect::Skip {
            history.record(&op, after, 0, Some(0));
            ops.push(op);
        }
    }
    ops
}

/// Storage calls that the workload makes when nothing fails.
fn calls_of(options: &Options, ops: &[Op]) -> u64 {
    let storage = SimStorage::new();
    let never = Fault::once(None, u64::MAX, FaultError::EIO);
    let mut run = Run::new(storage, options, None, never, 0);
    let _ = ops.iter().try_for_each(|op| run.step(op));
    run.storage.calls()
}

fn draw(dice: &mut SmallRng, calls: u64, run: u64) -> Fault {
    // Every call in turn, then calls of one kind, which are fewer.
    let kind = if run.is_multiple_of(2) { None } else { *pick(dice, &KINDS) };
    let nth =
        if kind.is_none() { dice.random_range(1..=calls) } else { dice.random_range(1..=calls / 6 + 1) };
    Fault { kind, nth, forever: dice.random(), error: *pick(dice, &FaultError::ALL), partly: dice.random() }
}

/// One run: whether the fault struck, and how it came out.
fn trial(options: &Options, ops: &[Op], fault: Fault, bug: Option<Bug>, seed: u64) -> (bool, Verdict) {
    let mut run = Run::new(SimStorage::new(), options, bug, fault, seed);
    let outcome = ops
        .iter()
        .try_for_each(|op| run.step(op).map_err(|verdict| verdict.at(&format!("{op:?}"))))
        .and_then(|()| run.finish());
    (run.fired(), outcome.err().unwrap_or(Verdict::Survived))
}

struct Run<'a> {
    storage: SimStorage,
    options: &'a Options,
    bug: Option<Bug>,
    engine: Option<Arc<Engine>>,
    history: History,
    dice: SmallRng,
    fired: u64,
}

impl<'a> Run<'a> {
    fn new(storage: SimStorage, options: &'a Options, bug: Option<Bug>, fault: Fault, seed: u64) -> Self {
        storage.set_mapped(options.mmap);
        storage.inject(fault);
        let dice = SmallRng::seed_from_u64(seed);
        Self { storage, options, bug, engine: None, history: History::new(State::new()), dice, fired: 0 }
    }

    fn fired(&self) -> bool {
        self.fired + self.storage.faults_fired() > 0
    }

    fn open(&self) -> Result<Arc<Engine>, Error> {
        Engine::open(Arc::new(Planted::new(self.storage.clone(), self.bug)), self.options.clone())
    }

    /// The engine, opened when there is none. An opening that fails is tried again without the fault.
    fn engine(&mut self) -> Result<Arc<Engine>, Verdict> {
        if let Some(engine) = &self.engine {
            return Ok(Arc::clone(engine));
        }
        let engine = match self.open() {
            Ok(engine) => engine,
            Err(error) => {
                self.expect_fault(&error)?;
                self.storage.heal();
                if error.to_string().contains("LOCK") {
                    // The simulated lock was taken in spite of the error: only another process gets on.
                    self.after(Cut::Kill);
                }
                self.open().map_err(|error| Verdict::Wrong(format!("open again: {error}")))?
            }
        };
        self.engine = Some(Arc::clone(&engine));
        Ok(engine)
    }

    fn expect_fault(&self, error: &Error) -> Result<(), Verdict> {
        let injected = matches!(error, Error::Io { .. } | Error::Closed(ClosedReason::Poisoned));
        if injected && self.fired() { Ok(()) } else { Err(Verdict::Wrong(format!("{error}"))) }
    }

    fn step(&mut self, op: &Op) -> Result<(), Verdict> {
        for _ in 0..2 {
            // A fault may have left the workload in another state than planned.
            let (expect, after) = self.history.plan(op);
            if expect == Expect::Skip {
                return Ok(());
            }
            let engine = self.engine()?;
            if matches!(op, Op::Reopen) {
                return self.reopen(&engine);
            }
            let start = self.storage.calls();
            let outcome = run(&engine, op, self.history.state());
            if agrees(expect, &outcome) {
                if expect == Expect::Done {
                    self.history.record(op, after, start, Some(self.storage.calls()));
                }
                return Ok(());
            }
            let Err(error) = outcome else { return Err(Verdict::Wrong(format!("{op:?} succeeded"))) };
            self.expect_fault(&error)?;
            self.storage.heal();
            self.undisturbed(&engine).map_err(|verdict| verdict.at(&format!("after {error}")))?;
            let again = run(&engine, op, self.history.state());
            if agrees(expect, &again) {
                // What is rightly refused is no commit.
                if expect == Expect::Done {
                    self.history.record(op, after, start, Some(self.storage.calls()));
                }
                return self
                    .undisturbed(&engine)
                    .map_err(|verdict| verdict.at(&format!("done after {error}")));
            }
            let stopped = matches!(again, Err(Error::Closed(ClosedReason::Poisoned)));
            if !stopped {
                return Err(Verdict::Wrong(format!("{op:?} failed with {error}, and again with {again:?}")));
            }
            self.history.record(op, after.clone(), start, None);
            self.restart().map_err(|verdict| verdict.at(&format!("restarted after {error}")))?;
            if *self.history.state() == after {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Reads everything; a fault that strikes here goes, and the next attempt must succeed.
    fn read(&self, engine: &Engine) -> Result<State, Verdict> {
        let attempt = || engine.snapshot().and_then(|snapshot| read_state(&snapshot));
        attempt().or_else(|error| {
            self.expect_fault(&error)?;
            self.storage.heal();
            attempt().map_err(|error| Verdict::Wrong(format!("reading again: {error}")))
        })
    }

    /// Readers see what was acknowledged, no more and no less.
    fn undisturbed(&self, engine: &Engine) -> Result<(), Verdict> {
        let found = self.read(engine)?;
        difference(self.history.state(), &found).map_or(Ok(()), |text| Err(Verdict::Wrong(text)))
    }

    fn reopen(&mut self, engine: &Arc<Engine>) -> Result<(), Verdict> {
        self.engine = None;
        let start = self.storage.calls();
        if let Err(error) = engine.close() {
            self.expect_fault(&error)?;
            self.storage.heal();
            let engine = self.engine()?;
            return self.judge(&engine, Cut::Kill);
        }
        let state = self.history.state().clone();
        self.history.record(&Op::Reopen, state, start, Some(self.storage.calls()));
        let engine = self.engine()?;
        self.undisturbed(&engine)
    }

    /// The process ends, or the machine does, and another opens what is left.
    fn restart(&mut self) -> Result<(), Verdict> {
        let cut = if self.dice.random() { Cut::Kill } else { Cut::Power };
        self.after(cut);
        let engine = self.engine()?;
        self.judge(&engine, cut)
    }

    fn after(&mut self, cut: Cut) {
        self.fired += self.storage.faults_fired();
        let policy = if self.dice.random() { CrashPolicy::WORST } else { CrashPolicy::RANDOM };
        let image = match cut {
            Cut::Kill => self.storage.kill_image(),
            Cut::Power => self.storage.crash_image(self.dice.random(), policy),
        };
        // The old process does nothing more.
        self.storage.stop();
        self.engine = None;
        self.storage = image;
        self.storage.set_mapped(self.options.mmap);
    }

    fn judge(&mut self, engine: &Engine, cut: Cut) -> Result<(), Verdict> {
        let found = self.read(engine)?;
        match self.history.judge(&found, u64::MAX, cut) {
            Verdict::Survived => Ok(()),
            verdict => Err(verdict),
        }
    }

    fn finish(&mut self) -> Result<(), Verdict> {
        self.storage.heal();
        let engine = self.engine()?;
        self.undisturbed(&engine)?;
        self.after(Cut::Power);
        let engine = self.engine()?;
        self.judge(&engine, Cut::Power).map_err(|verdict| verdict.at("at the end"))
    }
}

//! H1: power cuts at every storage call of a simulated disk.
//!
//! Injects what a disk may hold then: unsynced bytes kept, dropped, cut or torn, names kept, dropped or half renamed,
//! each on its own. One in four crashes once more, inside recovery. Half of the trials enumerate short sequences over
//! a small alphabet, the others are random and longer.

use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use trilith_engine::testing::{CrashPolicy, Fate, SimStorage};
use trilith_engine::{Engine, Options, check_storage};

use crate::arrow_rows::read_state;
use crate::chance::pick;
use crate::generate::{Generator, Menu};
use crate::h8_model::options;
use crate::history::{Cut, History};
use crate::model::{Expect, State};
use crate::op::{Op, agrees, run};
use crate::planted::{Bug, Planted};
use crate::report::{Budget, Report, Verdict};
use crate::{alphabet, lanes, sealed};

/// Crash states taken from one random workload.
const STATES: usize = 60;

const POLICIES: [CrashPolicy; 7] = [
    CrashPolicy::WORST,
    CrashPolicy::BEST,
    CrashPolicy { data: Fate::Kept, names: Fate::Dropped },
    CrashPolicy { data: Fate::Dropped, names: Fate::Kept },
    CrashPolicy { data: Fate::Dropped, names: Fate::Random },
    CrashPolicy { data: Fate::Random, names: Fate::Kept },
    CrashPolicy::RANDOM,
];

/// Runs the harness.
pub fn harness(budget: &Budget) -> Report {
    crash_states(budget, None)
}

/// Runs it on a storage with a bug.
pub fn crash_states(budget: &Budget, bug: Option<Bug>) -> Report {
    lanes::run(budget, |seed, report| trial(seed, bug, report))
}

fn trial(seed: u64, bug: Option<Bug>, report: &mut Report) {
    let mut dice = SmallRng::seed_from_u64(seed);
    let options = options(&mut dice);
    let storage = SimStorage::new();
    storage.record_history();
    let mut workload = Workload { storage, options, bug, history: History::new(State::new()) };
    let bounded = seed.is_multiple_of(2);
    let outcome = if bounded {
        workload.run(|at, _| alphabet::sequence(seed / 2).get(at).cloned())
    } else {
        let mut generator = Generator::new(SmallRng::seed_from_u64(dice.random()), Menu::Writes);
        let length = dice.random_range(4..16);
        workload.run(|at, state| {
            (at < length).then(|| if at % 5 == 4 { Op::Reopen } else { generator.op(state) })
        })
    };
    if let Err(text) = outcome {
        report.count(Verdict::Wrong(format!("seed {seed}: {text}")));
        return;
    }
    report.add(if bounded { "bounded" } else { "random" }, 1);
    let calls = workload.storage.history();
    let each = if bounded { calls.len() * 2 } else { STATES };
    for at in 0..each {
        let call = if bounded { calls[at % calls.len()] } else { *pick(&mut dice, &calls) };
        let verdict = workload.crash(call, &mut dice, report);
        let failed = !matches!(verdict, Verdict::Survived);
        report.count(verdict.at(&format!("seed {seed}")));
        if failed {
            return;
        }
    }
}

struct Workload {
    storage: SimStorage,
    options: Options,
    bug: Option<Bug>,
    history: History,
}

impl Workload {
    fn open(&self, storage: &SimStorage) -> Result<Arc<Engine>, String> {
        storage.set_mapped(self.options.mmap);
        let planted = Arc::new(Planted::new(storage.clone(), self.bug));
        Engine::open(planted, self.options.clone()).map_err(|error| format!("open: {error}"))
    }

    /// Does what `next` asks for, on a disk that remembers itself after every call.
    fn run(&mut self, mut next: impl FnMut(usize, &State) -> Option<Op>) -> Result<(), String> {
        let mut engine = self.open(&self.storage)?;
        let mut at = 0;
        while let Some(op) = next(at, self.history.state()) {
            at += 1;
            let (expect, after) = self.history.plan(&op);
            if expect == Expect::Skip {
                continue;
            }
            let start = self.storage.calls();
            let outcome = if matches!(op, Op::Reopen) {
                engine.close().map_err(|error| format!("close: {error}"))?;
                engine = self.open(&self.storage)?;
                Ok(())
            } else {
                run(&engine, &op, self.history.state())
            };
            if !agrees(expect, &outcome) {
                return Err(format!("{op:?}: {outcome:?}, expected {expect:?}"));
            }
            if expect == Expect::Done {
                self.history.record(&op, after, start, Some(self.storage.calls()));
            }
        }
        // The engine goes as a process does: nothing it does from here on reaches the disk.
        self.storage.stop();
        Ok(())
    }

    /// One crash state: what the disk held right after call `call`, recovered and compared.
    fn crash(&self, call: u64, dice: &mut SmallRng, report: &mut Report) -> Verdict {
        let mut history = self.history.clone();
        let mut image = self.storage.crash_image_at(call, dice.random(), *pick(dice, &POLICIES));
        if dice.random_ratio(1, 4) {
            report.add("twice", 1);
            image.stop_at(dice.random_range(1..40), dice.random());
            // What recovery got to show before the power went once more must stay.
            let shown = self.open(&image).ok().and_then(|engine| Some((read(&engine).ok()?, engine)));
            if let Some((found, _engine)) = &shown {
                let verdict = history.judge(found, call, Cut::Power);
                if !matches!(verdict, Verdict::Survived) {
                    return verdict;
                }
            }
            image = image.crash_image(dice.random(), *pick(dice, &POLICIES));
        }
        let engine = match self.open(&image) {
            Ok(engine) => engine,
            Err(text) => return Verdict::Wrong(format!("after call {call}: {text}")),
        };
        let verdict = match read(&engine) {
            Ok(found) => history.judge(&found, call, Cut::Power),
            Err(text) => Verdict::Wrong(format!("after call {call}, reading: {text}")),
        };
        let reused = || crate::encrypted::is_on().then(|| sealed::sealed_twice(&image)).flatten();
        let verdict = reused().map_or(verdict, |text| Verdict::Wrong(format!("after call {call}: {text}")));
        match verdict {
            Verdict::Survived if dice.random_ratio(1, 8) => {
                let image = image.crash_image(dice.random(), *pick(dice, &POLICIES));
                self.go_on(&image, history, dice)
            }
            verdict => verdict,
        }
    }

    /// A recovered database must also work, and hold what it showed when the power goes right after.
    fn go_on(&self, image: &SimStorage, mut history: History, dice: &mut SmallRng) -> Verdict {
        let mut generator = Generator::new(SmallRng::seed_from_u64(dice.random()), Menu::Writes);
        let mut attempt = || {
            let engine = self.open(image)?;
            let found = read(&engine)?;
            if found != *history.state() {
                return Err("what recovery showed is gone after another power cut".to_owned());
            }
            for _ in 0..3 {
                let op = generator.op(history.state());
                let (expect, after) = history.plan(&op);
                if expect != Expect::Skip {
                    let outcome = run(&engine, &op, history.state());
                    if !agrees(expect, &outcome) {
                        return Err(format!("{op:?}: {outcome:?}"));
                    }
                    if expect == Expect::Done {
                        history.record(&op, after, 0, Some(0));
                    }
                }
            }
            engine.close().map_err(text)?;
            let engine = self.open(image)?;
            let found = read(&engine)?;
            let report = check_storage(&crate::encrypted::view(image.clone()).map_err(text)?, &mut |_| {})
                .map_err(text)?;
            let problem = report.problems.first().map(|problem| format!("check: {problem}"));
            let difference = crate::model::difference(history.state(), &found);
            problem.or(difference).map_or(Ok(()), Err)
        };
        attempt()
            .map_or_else(|text| Verdict::Wrong(format!("after recovery: {text}")), |()| Verdict::Survived)
    }
}

fn read(engine: &Engine) -> Result<State, String> {
    engine.snapshot().and_then(|snapshot| read_state(&snapshot)).map_err(text)
}

fn text(error: trilith_engine::Error) -> String {
    error.to_string()
}

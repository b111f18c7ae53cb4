//! H16: writers of one database on an object store whose answers get lost.
//!
//! Injects busy servers, effects without an answer, puts and removals that arrive late or twice, and listings that lag,
//! while writers end, are killed, or are taken over from by another one and then wake up again. Each seed runs twice.
//!
//! Demands: every acknowledged commit is found by the next writer, in order and whole; a writer that was taken over from
//! acknowledges nothing; nothing it does shows anywhere; readers see a state there was; the same seed does the same.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use trilith_engine::io::object::Patience;
use trilith_engine::io::{ObjectStorage, ObjectTuning};
use trilith_engine::testing::{Bucket, BucketBug, BucketClient, BucketFaults};
use trilith_engine::{Engine, Error, ErrorKind, Options, check_storage};

use crate::arrow_rows::read_state;
use crate::generate::{Generator, Menu};
use crate::h8_model::options;
use crate::history::{Cut, History};
use crate::lanes;
use crate::model::{Expect, State, difference};
use crate::op::{Op, agrees, run};
use crate::report::{Budget, Report, Verdict};

/// Steps of one seed.
const STEPS: u64 = 22;
/// Openings that may fail one after another.
const OPENINGS: u32 = 60;

/// Runs the harness.
pub fn harness(budget: &Budget) -> Report {
    objects(budget, None)
}

/// Runs it on a store with a bug.
pub fn objects(budget: &Budget, bug: Option<BucketBug>) -> Report {
    lanes::run(budget, |seed, report| {
        let (first, second) = (Run::of(seed, bug), Run::of(seed, bug));
        for (name, count) in &first.counts {
            report.add(name, *count);
        }
        report.add("troubles", first.bucket.injected());
        report.count(first.verdict(&second).at(&format!("seed {seed}")));
    })
}

/// One writer: its engine, and its way to the store.
#[derive(Clone)]
struct Writer {
    engine: Arc<Engine>,
    client: BucketClient,
}

struct Run {
    bucket: Bucket,
    options: Options,
    attempts: u32,
    dice: SmallRng,
    generator: Generator,
    history: History,
    /// Every state there was: what a reader may see.
    seen: Vec<State>,
    /// Writers that were taken over from.
    zombies: Vec<Writer>,
    step: u64,
    counts: Vec<(&'static str, u64)>,
    outcome: Result<(), Verdict>,
}

impl Run {
    fn of(seed: u64, bug: Option<BucketBug>) -> Self {
        let mut dice = SmallRng::seed_from_u64(seed);
        let (faults, attempts) = match seed % 4 {
            0 => (BucketFaults::default(), 3),
            1 => (BucketFaults { busy: 5, lost: 5, ..BucketFaults::default() }, 8),
            2 => (BucketFaults { busy: 15, lost: 12, late: 12, stale: 4, twice: 6 }, 40),
            _ => (BucketFaults { busy: 25, lost: 20, late: 20, stale: 4, twice: 6 }, 3),
        };
        let generator = Generator::new(SmallRng::seed_from_u64(dice.random()), Menu::Writes);
        let mut run = Self {
            bucket: Bucket::new(dice.random(), faults, bug),
            options: Options { mmap: false, ..options(&mut dice) },
            attempts,
            dice,
            generator,
            history: History::new(State::new()),
            seen: vec![State::new()],
            zombies: Vec::new(),
            step: 0,
            counts: Vec::new(),
            outcome: Ok(()),
        };
        run.outcome = run.play();
        run
    }

    /// How it came out, given that `again` did the same.
    fn verdict(&self, again: &Self) -> Verdict {
        let (one, two) = (self.bucket.history(), again.bucket.history());
        match &self.outcome {
            Err(verdict) => verdict.clone(),
            Ok(()) if one == two => Verdict::Survived,
            Ok(()) => {
                let at = one.iter().zip(&two).take_while(|(one, two)| one == two).count();
                Verdict::Wrong(format!("call {at} was {:?}, and then {:?}", one.get(at), two.get(at)))
            }
        }
    }

    fn count(&mut self, name: &'static str) {
        match self.counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => self.counts.push((name, 1)),
        }
    }

    fn storage(&self, client: &BucketClient) -> Arc<ObjectStorage> {
        let patience = Patience { attempts: self.attempts, pause: Duration::ZERO };
        let tuning = ObjectTuning { cache_bytes: 1 << 20, keep_removed: Duration::ZERO, patience };
        Arc::new(ObjectStorage::new(Arc::new(client.clone()), tuning))
    }

    /// A new writer, which takes over from whoever is there.
    fn open(&mut self) -> Result<Writer, Verdict> {
        let mut last = None;
        for _ in 0..OPENINGS {
            let client = self.bucket.client("writer");
            match Engine::open(self.storage(&client), self.options.clone()) {
                Ok(engine) => return Ok(Writer { engine, client }),
                Err(error @ (Error::Io { .. } | Error::Closed(_))) => last = Some(error),
                Err(error) => return Err(Verdict::Wrong(format!("open: {error}"))),
            }
            client.stop();
        }
        Err(Verdict::Wrong(format!("open, {OPENINGS} times: {last:?}")))
    }

    fn play(&mut self) -> Result<(), Verdict> {
        let mut writer = self.open()?;
        while self.step < STEPS {
            self.step += 1;
            writer = match self.dice.random_range(0..100) {
                0..=64 => self.work(writer)?,
                65..=73 => self.take_over(writer)?,
                74..=79 => self.kill(writer)?,
                80..=84 => self.close(writer)?,
                85..=94 => self.wake(writer)?,
                _ => self.look(writer)?,
            };
        }
        self.finish(writer)
    }

    /// The writer does something.
    fn work(&mut self, writer: Writer) -> Result<Writer, Verdict> {
        let op = self.generator.op(self.history.state());
        let (expect, after) = self.history.plan(&op);
        if expect == Expect::Skip {
            return Ok(writer);
        }
        let outcome = run(&writer.engine, &op, self.history.state());
        if agrees(expect, &outcome) {
            if expect == Expect::Done {
                self.seen.push(after.clone());
                self.history.record(&op, after, self.step, Some(self.step));
            }
            return Ok(writer);
        }
        match outcome {
            Err(Error::Io { .. } | Error::Closed(_)) => {
                self.count("doubts");
                self.seen.push(after.clone());
                self.history.record(&op, after, self.step, None);
                self.kill(writer)
            }
            outcome => Err(Verdict::Wrong(format!("{op:?}: {outcome:?}, expected {expect:?}"))),
        }
    }

    /// Another one takes over, and knows all that was acknowledged.
    fn take_over(&mut self, writer: Writer) -> Result<Writer, Verdict> {
        self.count("takeovers");
        let next = self.open()?;
        self.zombies.push(writer);
        self.judge(next)
    }

    fn kill(&mut self, writer: Writer) -> Result<Writer, Verdict> {
        self.count("kills");
        writer.client.stop();
        drop(writer);
        let next = self.open()?;
        self.judge(next)
    }

    fn close(&mut self, writer: Writer) -> Result<Writer, Verdict> {
        if writer.engine.close().is_ok() {
            let state = self.history.state().clone();
            self.history.record(&Op::Reopen, state, self.step, Some(self.step));
        }
        drop(writer);
        let next = self.open()?;
        self.judge(next)
    }

    /// A writer that was taken over from goes on where it was.
    fn wake(&mut self, writer: Writer) -> Result<Writer, Verdict> {
        if self.zombies.is_empty() {
            return Ok(writer);
        }
        self.count("zombies");
        let at = self.dice.random_range(0..self.zombies.len());
        let zombie = self.zombies[at].engine.clone();
        let Ok(view) = zombie.snapshot().and_then(|snapshot| read_state(&snapshot)) else {
            // Its files may be gone; it says so.
            return self.undisturbed(writer);
        };
        let op = self.generator.op(&view);
        let expect = crate::op::apply(&mut view.clone(), &op);
        let outcome = if expect == Expect::Skip { Ok(()) } else { run(&zombie, &op, &view) };
        let commits = op.is_durable() && !matches!(op, Op::Flush | Op::Compact | Op::Reopen);
        if commits && expect == Expect::Done && outcome.is_ok() {
            return Err(Verdict::Lost(format!("a writer that was taken over from acknowledged {op:?}")));
        }
        let told = outcome.err().is_none_or(|error| error.kind() != ErrorKind::Internal);
        if self.dice.random() {
            let zombie = self.zombies.swap_remove(at);
            let _ = zombie.engine.close();
        }
        if told { self.undisturbed(writer) } else { Err(Verdict::Wrong(format!("a zombie: {op:?}"))) }
    }

    /// A reader opens, and sees a state that there was.
    fn look(&mut self, writer: Writer) -> Result<Writer, Verdict> {
        self.count("readers");
        if let Ok(found) = self.read_afresh()
            && !self.seen.contains(&found)
        {
            return Err(Verdict::Wrong("a reader sees what there never was".into()));
        }
        Ok(writer)
    }

    fn read_afresh(&self) -> Result<State, Error> {
        let options = Options { read_only: true, ..self.options.clone() };
        let reader = Engine::open(self.storage(&self.bucket.client("reader")), options)?;
        read_state(&reader.snapshot()?)
    }

    fn read(engine: &Engine) -> Result<State, Verdict> {
        let mut attempt = Err(Verdict::Survived);
        for _ in 0..OPENINGS {
            attempt = engine
                .snapshot()
                .and_then(|snapshot| read_state(&snapshot))
                .map_err(|error| Verdict::Wrong(format!("read: {error}")));
            if attempt.is_ok() {
                break;
            }
        }
        attempt
    }

    fn undisturbed(&mut self, writer: Writer) -> Result<Writer, Verdict> {
        let found = Self::read(&writer.engine)?;
        match difference(self.history.state(), &found) {
            None => Ok(writer),
            Some(text) => Err(Verdict::Wrong(format!("after a zombie woke: {text}"))),
        }
    }

    fn judge(&mut self, writer: Writer) -> Result<Writer, Verdict> {
        let found = Self::read(&writer.engine)?;
        match self.history.judge(&found, u64::MAX, Cut::Power) {
            Verdict::Survived => Ok(writer),
            verdict => Err(verdict),
        }
    }

    /// At the end the troubles stop, and what is there is whole.
    fn finish(&mut self, writer: Writer) -> Result<(), Verdict> {
        self.bucket.heal();
        let next = self.take_over(writer)?;
        let state = self.history.state().clone();
        self.zombies.drain(..).for_each(|zombie| drop(zombie.engine.close()));
        let next = self.undisturbed(next)?;
        let wrong = |error: Error| Verdict::Wrong(format!("at the end: {error}"));
        next.engine.close().map_err(wrong)?;
        let found = self.read_afresh().map_err(wrong)?;
        let storage = self.storage(&self.bucket.client("check"));
        let report = check_storage(&(storage as _), &mut |_| {}).map_err(wrong)?;
        let problem = report.problems.first().map(|problem| format!("check: {problem}"));
        problem.or(difference(&state, &found)).map_or(Ok(()), |text| Err(Verdict::Wrong(text)))
    }
}

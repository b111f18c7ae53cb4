//! The engine in a schedule: how it begins and ends, and whether what its threads saw can have been.
//!
//! Every commit is put down with its number once it is acknowledged. When all is over they are done again in order, and each
//! snapshot that anybody read must be the state at its number.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use trilith_engine::common::sync;
use trilith_engine::testing::{CrashPolicy, SimStorage};
use trilith_engine::{Durability, Engine, Options, SeqNo, SetClock};

use crate::alphabet::create;
use crate::arrow_rows::read_state;
use crate::chance::pick;
use crate::h11_schedules::Planted;
use crate::h11_worker::{COLUMNS_OF, script, work};
use crate::model::{Change, Expect, Row, State, Value, apply_batch, difference};
use crate::op;
use crate::planted;

/// An acknowledged commit.
pub struct Commit {
    /// `None` for a bulk append, of which nobody is told.
    pub seq: Option<SeqNo>,
    pub changes: Vec<(String, Change)>,
    pub durable: bool,
    /// A key that it was computed from, and the row that was there.
    pub read: Option<(Value, Option<Row>)>,
}

/// What the threads of a schedule tell.
#[derive(Default)]
pub struct Ledger {
    pub commits: Vec<Commit>,
    pub sights: Vec<(SeqNo, State, &'static str)>,
    pub problems: Vec<String>,
    /// What the definitions of the tables took.
    base: SeqNo,
}

/// How a schedule ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// All threads are awaited, then the database is closed.
    Close,
    /// It is closed, and opened again, while threads go on.
    CloseBeside,
    /// The process is killed.
    Kill,
    /// The power goes.
    Power,
}

const ENDS: [End; 6] = [End::Close, End::Close, End::CloseBeside, End::CloseBeside, End::Kill, End::Power];

/// One schedule's engine.
#[derive(Clone)]
pub struct World {
    pub seed: u64,
    pub bug: Option<Planted>,
    pub disk: SimStorage,
    pub ledger: Arc<Mutex<Ledger>>,
}

impl World {
    pub fn new(seed: u64, bug: Option<Planted>) -> Self {
        Self { seed, bug, disk: SimStorage::new(), ledger: Arc::default() }
    }

    /// No thread of the schedule waits for it: none can go on while another holds it.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn note(&self, commit: Commit) {
        self.ledger().commits.push(commit);
    }

    pub fn problem(&self, text: String) {
        self.ledger().problems.push(text);
    }

    fn options(&self) -> Options {
        let mut dice = SmallRng::seed_from_u64(self.seed ^ 1);
        Options {
            durability: Durability::Group,
            background: dice.random(),
            mmap: dice.random(),
            encryption_key: crate::encrypted::key(),
            memtable_bytes: *pick(&mut dice, &[1, 600, 2 << 10, 1 << 20]),
            direct_append_bytes: 1,
            batch_rows: 7,
            blob_bytes: 1,
            file_bytes: *pick(&mut dice, &[1, 8 << 10]),
            reserve_bytes: 0,
            clock: Arc::new(SetClock::default()),
            ..Options::default()
        }
    }

    fn open(&self) -> trilith_engine::Result<Arc<Engine>> {
        let bug = match self.bug {
            Some(Planted::Storage(bug)) => Some(bug),
            _ => None,
        };
        Engine::open(Arc::new(planted::Planted::new(self.disk.clone(), bug)), self.options())
    }

    /// Remembers what there is.
    pub fn look(&self, engine: &Engine, where_from: &'static str) {
        let read = engine.snapshot().and_then(|snapshot| Ok((snapshot.seq(), read_state(&snapshot)?)));
        match read {
            Ok((seq, state)) => self.ledger().sights.push((seq, state, where_from)),
            Err(error) => self.problem(format!("{where_from}: {error}")),
        }
    }
}

/// The root of the schedule.
pub fn body(world: &World) {
    let mut dice = SmallRng::seed_from_u64(world.seed);
    let engine = world.open().unwrap();
    for table in [create("k", 1), create("l", 0)] {
        op::run(&engine, &table, &State::new()).unwrap();
    }
    world.ledger().base = engine.snapshot().unwrap().seq();
    let workers = (0..dice.random_range(2..5)).map(|worker| {
        let script = script(&mut dice, worker == 0);
        let (world, engine) = (world.clone(), Arc::clone(&engine));
        sync::spawn("worker", move || work(&world, &engine, worker, script)).unwrap()
    });
    let workers: Vec<_> = workers.collect();
    let end = *pick(&mut dice, &ENDS);
    if end == End::CloseBeside {
        if let Err(error) = engine.close() {
            world.problem(format!("close: {error}"));
        }
        reopen(world, "opened again beside writers");
    }
    workers.into_iter().for_each(sync::Thread::join);
    finish(world, engine, end, dice.random());
}

fn finish(world: &World, engine: Arc<Engine>, end: End, seed: u64) {
    match end {
        End::Close => {
            world.look(&engine, "at the end");
            if let Err(error) = engine.close() {
                world.problem(format!("close: {error}"));
            }
            drop(engine);
            reopen(world, "opened again");
        }
        End::CloseBeside => {
            drop(engine);
            reopen(world, "opened once more");
        }
        End::Kill | End::Power => {
            let image = match end {
                End::Kill => world.disk.kill_image(),
                _ => world.disk.crash_image(seed, CrashPolicy::RANDOM),
            };
            let found = World { disk: image, ..world.clone() };
            reopen(&found, if end == End::Kill { "killed" } else { "without power" });
        }
    }
}

fn reopen(world: &World, where_from: &'static str) {
    match world.open() {
        Ok(engine) => world.look(&engine, where_from),
        Err(error) => world.problem(format!("{where_from}: {error}")),
    }
}

impl World {
    /// Whether all that was seen can have been.
    pub fn judge(&self) -> Result<(), String> {
        let mut ledger = self.ledger();
        if let Some(text) = ledger.problems.first() {
            return Err(text.clone());
        }
        let Ledger { commits, sights, base, .. } = &mut *ledger;
        number(commits, *base);
        let states = replay(commits)?;
        for (seq, found, where_from) in sights.iter() {
            let at = commits.partition_point(|commit| commit.seq <= Some(*seq));
            if let Some(text) = difference(&states[at], found) {
                return Err(format!("{where_from}, at commit {seq}: {text}"));
            }
            let needed = commits.iter().rposition(|commit| must_last(commit, where_from));
            let is_last = *where_from != "seen" && needed.is_some_and(|needed| at <= needed);
            if is_last && *where_from != "opened again beside writers" {
                return Err(format!("{where_from}: commit {:?} is gone, {seq} is the last", commits[at].seq));
            }
        }
        Ok(())
    }
}

fn must_last(commit: &Commit, where_from: &str) -> bool {
    commit.durable || where_from != "without power"
}

/// Sorts them. The commit without a number has the one that nobody else has.
fn number(commits: &mut [Commit], base: SeqNo) {
    let taken: BTreeSet<SeqNo> = commits.iter().filter_map(|commit| commit.seq).collect();
    let free = (base.0 + 1..).map(SeqNo).find(|seq| !taken.contains(seq));
    commits.iter_mut().filter(|commit| commit.seq.is_none()).for_each(|commit| commit.seq = free);
    commits.sort_by_key(|commit| commit.seq);
}

/// The state before the first commit, and after each.
fn replay(commits: &[Commit]) -> Result<Vec<State>, String> {
    let mut state = State::new();
    for table in [create("k", 1), create("l", 0)] {
        op::apply(&mut state, &table);
    }
    let mut states = vec![state.clone()];
    for (at, commit) in commits.iter().enumerate() {
        let seq = commit.seq.unwrap_or_default();
        if at > 0 && commits[at - 1].seq == commit.seq {
            return Err(format!("two commits have number {seq}"));
        }
        if let Some((key, row)) = &commit.read {
            let there = state[COLUMNS_OF].rows.get(&vec![key.clone()]).map(|row| (**row).clone());
            if there != *row {
                return Err(format!("commit {seq} was computed from {row:?}, and {there:?} was there"));
            }
        }
        if apply_batch(&mut state, &commit.changes) != Expect::Done {
            return Err(format!("commit {seq} added a key that was there: {:?}", commit.changes));
        }
        states.push(state.clone());
    }
    Ok(states)
}

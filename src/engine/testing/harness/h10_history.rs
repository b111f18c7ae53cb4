//! H10: eight clients at once, power cuts in between, and a checker that knows only what the clients saw.
//!
//! A trial is a few lives of one database at one level of isolation. In each life clients run transactions, with flushes
//! and compactions beside them, until the machine stops at a random call; the next life finds what a power cut leaves. A
//! commit that nobody heard of counts when its versions are there, and then all of them must be.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use trilith_engine::testing::{CrashPolicy, SimStorage};
use trilith_engine::{Durability, Engine, Isolation, Options};

use crate::h8_model::options;
use crate::h10_checker::{Fate, Key, Level, Txn, Version, check, judges_known_histories};
use crate::h10_client::{KEYS, LISTS, Seen, Tables, Trouble, World, balanced, transaction};
use crate::lanes;
use crate::planted::{Bug, Planted};
use crate::report::{Budget, Report, Verdict};

/// Clients at work at the same time.
const CLIENTS: u64 = 8;
/// Transactions of each client in one life.
const TRANSACTIONS: usize = 40;
/// Lives of one database.
const LIVES: usize = 3;

/// Runs the harness.
pub fn harness(budget: &Budget) -> Report {
    let mut report = histories(budget, None);
    match judges_known_histories() {
        Ok(known) => report.add("known_judged", known as u64),
        Err(text) => report.count(Verdict::Wrong(text)),
    }
    report
}

/// Runs it on a storage with a bug.
pub fn histories(budget: &Budget, bug: Option<Bug>) -> Report {
    lanes::run(budget, |seed, report| {
        let level = if seed.is_multiple_of(2) { Level::Snapshot } else { Level::Serializable };
        let isolation = match level {
            Level::Snapshot => Isolation::Snapshot,
            Level::Serializable => Isolation::Serializable,
        };
        let trial = Trial { seed, isolation, level, torn: false, bug };
        let outcome = trial.run(report);
        if let Some(verdict) = outcome.err() {
            report.count(verdict.at(&format!("seed {seed}, {level:?}")));
        }
    })
}

/// True when clients that run at snapshot isolation are caught by the rules of serializable ones, and clients that read
/// outside of their snapshot by the rules of snapshot isolation.
pub fn notices_weak_isolation(seed: u64) -> bool {
    let caught = |torn: bool, level: Level| {
        (0..50).any(|trial| {
            let trial = Trial { seed: seed + trial, isolation: Isolation::Snapshot, level, torn, bug: None };
            trial.run(&mut Report::default()).is_err()
        })
    };
    caught(false, Level::Serializable) && caught(true, Level::Snapshot)
}

struct Trial {
    seed: u64,
    isolation: Isolation,
    level: Level,
    torn: bool,
    bug: Option<Bug>,
}

impl Trial {
    fn run(&self, report: &mut Report) -> Result<(), Verdict> {
        let mut dice = SmallRng::seed_from_u64(self.seed);
        let options = Options { durability: Durability::Group, ..options(&mut dice) };
        let world = World {
            clock: AtomicU64::new(1),
            versions: AtomicU64::new(0),
            isolation: self.isolation,
            torn: self.torn,
        };
        let mut storage = SimStorage::new();
        let mut history: Vec<Seen> = Vec::new();
        for life in 0..LIVES {
            storage.set_mapped(options.mmap);
            let (engine, tables) = self.open(&storage, &options)?;
            self.settle(&engine, &tables, &world, &mut history)?;
            if life + 1 < LIVES {
                storage.stop_at(storage.calls() + dice.random_range(20..2500), dice.random());
            }
            let lived = live(&engine, &tables, &world, dice.random())?;
            history.extend(lived);
            lanes::tick();
            if life + 1 < LIVES {
                storage.stop();
                drop(engine);
                let policies = [CrashPolicy::WORST, CrashPolicy::BEST, CrashPolicy::RANDOM];
                storage = storage.crash_image(dice.random(), policies[dice.random_range(0..3)]);
                report.add("power_cuts", 1);
            } else {
                self.settle(&engine, &tables, &world, &mut history)?;
            }
        }
        report.add("committed", count(&history, Fate::Committed));
        report.add("aborted", count(&history, Fate::Aborted));
        let transactions = history.len() as u64;
        let txns: Vec<Txn> = history.into_iter().map(|seen| seen.txn).collect();
        check(&txns, self.level).map_err(Verdict::Wrong)?;
        report.injected += transactions;
        report.survived += transactions;
        Ok(())
    }

    fn open(&self, storage: &SimStorage, options: &Options) -> Result<(Arc<Engine>, Tables), Verdict> {
        let wrong = |error: trilith_engine::Error| Verdict::Wrong(format!("open: {error}"));
        let planted = Arc::new(Planted::new(storage.clone(), self.bug));
        let engine = Engine::open(planted, options.clone()).map_err(wrong)?;
        let tables = Tables::open(&engine).map_err(wrong)?;
        Ok((engine, tables))
    }

    /// Compares what is there with the history so far, and decides what became of those who were not told.
    fn settle(
        &self,
        engine: &Engine,
        tables: &Tables,
        world: &World,
        history: &mut [Seen],
    ) -> Result<(), Verdict> {
        let now = world.clock.fetch_add(1, Ordering::SeqCst);
        let snapshot = engine.snapshot().map_err(|error| Verdict::Wrong(error.to_string()))?;
        balanced(tables, &snapshot).map_err(Verdict::Wrong)?;
        let mut there: HashMap<Key, Vec<Version>> = HashMap::new();
        for key in 0..KEYS {
            let found = tables.read(&snapshot, key).map_err(|error| Verdict::Wrong(error.to_string()))?;
            there.insert(key, found);
        }
        let replaced: HashMap<(Key, Version), Version> = history
            .iter()
            .filter(|seen| seen.unknown || seen.txn.fate == Fate::Committed)
            .flat_map(|seen| seen.txn.writes.iter().map(|&(key, version, over)| ((key, version), over)))
            .collect();
        let orders = orders(&there, &replaced)?;
        let applied: HashSet<(Key, Version)> =
            orders.iter().flat_map(|(key, order)| order.iter().map(|version| (*key, *version))).collect();
        for (id, seen) in history.iter_mut().enumerate() {
            let kept = seen.txn.writes.iter().filter(|(key, version, _)| applied.contains(&(*key, *version)));
            let (kept, all) = (kept.count(), seen.txn.writes.len());
            match (seen.unknown, seen.txn.fate) {
                (true, _) if kept == all && all > 0 => {
                    (seen.txn.fate, seen.txn.span.1) = (Fate::Committed, now);
                }
                (false, Fate::Committed) if kept < all => {
                    return Err(Verdict::Lost(format!("{kept} of {all} writes of {id} are there")));
                }
                (_, Fate::Aborted) if kept > 0 => {
                    return Err(Verdict::Wrong(format!("{kept} of {all} writes of {id} are there")));
                }
                _ => {}
            }
            seen.unknown = false;
            // Who was undone by the power cut never was.
            for (key, len, last) in &seen.lists {
                let order = &orders[key];
                if *len > 0 && order.get(len - 1) != Some(last) && seen.txn.fate == Fate::Committed {
                    return Err(Verdict::Wrong(format!(
                        "{id} read a list {key} that is not the beginning of what is there"
                    )));
                }
            }
        }
        Ok(())
    }
}

/// All versions of each key in their order: as the lists hold them, and as registers replaced one another.
fn orders(
    there: &HashMap<Key, Vec<Version>>,
    replaced: &HashMap<(Key, Version), Version>,
) -> Result<HashMap<Key, Vec<Version>>, Verdict> {
    let mut orders = HashMap::new();
    for (&key, found) in there {
        let mut order = Vec::new();
        let mut at = found.last().copied().unwrap_or(0);
        while at != 0 {
            order.push(at);
            let over = replaced.get(&(key, at));
            at = *over
                .ok_or_else(|| Verdict::Wrong(format!("key {key} holds version {at}, which nobody wrote")))?;
        }
        order.reverse();
        if key < LISTS && order != *found {
            return Err(Verdict::Wrong(format!("list {key} holds {found:?}, its writers say {order:?}")));
        }
        orders.insert(key, order);
    }
    Ok(orders)
}

fn count(history: &[Seen], fate: Fate) -> u64 {
    history.iter().filter(|seen| seen.txn.fate == fate).count() as u64
}

/// One life: clients until they are done or the machine stops, flushes and compactions beside them.
fn live(engine: &Engine, tables: &Tables, world: &World, seed: u64) -> Result<Vec<Seen>, Verdict> {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let keeper = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                std::thread::sleep(std::time::Duration::from_millis(2));
                // A machine that is off is the clients' to find.
                let _ = engine.flush().and_then(|()| engine.maintain());
            }
        });
        let client = |number: u64| {
            let mut dice = SmallRng::seed_from_u64(seed ^ number);
            let mut seen = Vec::new();
            for _ in 0..TRANSACTIONS {
                match transaction(engine, tables, world, &mut dice, &mut seen) {
                    Ok(()) => {}
                    Err(Trouble::Stopped) => break,
                    Err(Trouble::Wrong(text)) => return Err(Verdict::Wrong(text)),
                }
            }
            Ok(seen)
        };
        let clients: Vec<_> = (0..CLIENTS).map(|number| scope.spawn(move || client(number))).collect();
        let mut all = Vec::new();
        let mut trouble = None;
        for client in clients {
            match client.join() {
                Ok(Ok(seen)) => all.extend(seen),
                Ok(Err(verdict)) => trouble = Some(verdict),
                Err(panic) => trouble = Some(Verdict::Crash(lanes::panic_text(&*panic))),
            }
        }
        done.store(true, Ordering::Relaxed);
        let kept = keeper.join();
        match (trouble, kept) {
            (Some(verdict), _) => Err(verdict),
            (None, Err(panic)) => Err(Verdict::Crash(lanes::panic_text(&*panic))),
            (None, Ok(())) => Ok(all),
        }
    })
}

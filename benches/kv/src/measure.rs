//! Turns: in every round each store does the same work once, and only times of one round are compared.

use std::time::{Duration, Instant};

use crate::stores::Outcome;

/// What one store did in one turn.
#[derive(Clone, Copy)]
pub struct Turn {
    /// Time of the work itself, without preparing the rows.
    pub took: Duration,
    /// Operations done.
    pub ops: u64,
    /// Sum over everything that was read; stores must agree.
    pub checksum: u64,
}

/// A workload's turns: one row per round, one column per store.
pub struct Table {
    pub work: String,
    pub stores: Vec<&'static str>,
    pub rounds: Vec<Vec<Turn>>,
}

impl Table {
    /// Plays `rounds` rounds; `turn` gets the store's name. The order changes from round to round.
    pub fn play(
        work: impl Into<String>,
        stores: &[&'static str],
        rounds: usize,
        mut turn: impl FnMut(&'static str) -> Outcome<Turn>,
    ) -> Outcome<Self> {
        let work = work.into();
        let mut table = Self { work, stores: stores.to_vec(), rounds: vec![] };
        for round in 0..rounds {
            let mut turns = vec![None; stores.len()];
            for step in 0..stores.len() {
                let at = (round + step) % stores.len();
                turns[at] = Some(turn(stores[at])?);
            }
            let turns: Vec<Turn> = turns.into_iter().flatten().collect();
            if let Some(other) = turns.iter().position(|turn| turn.checksum != turns[0].checksum) {
                return Err(format!("{}: {} and {} disagree", table.work, stores[0], stores[other]).into());
            }
            table.rounds.push(turns);
        }
        table.print();
        Ok(table)
    }

    fn print(&self) {
        for (at, store) in self.stores.iter().enumerate() {
            let mut nanos: Vec<f64> = self.rounds.iter().map(|round| per_op(round[at])).collect();
            let mut ratios: Vec<f64> =
                self.rounds.iter().map(|round| per_op(round[at]) / per_op(round[0])).collect();
            let (nanos, ratio) = (median(&mut nanos), median(&mut ratios));
            let spread = format!("{:.2} to {:.2}", ratios[0], ratios[ratios.len() - 1]);
            println!(
                "{:<28} {store:<8} {nanos:>12.0} ns/op  ours is {ratio:>7.2} x as fast ({spread})",
                self.work
            );
        }
    }
}

fn per_op(turn: Turn) -> f64 {
    turn.took.as_nanos() as f64 / turn.ops.max(1) as f64
}

/// Sorts, and returns the middle.
fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Adds up the time of what it is given.
#[derive(Default)]
pub struct Clock(pub Duration);

impl Clock {
    pub fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let done = work();
        self.0 += start.elapsed();
        done
    }
}

/// Load of the last minute, where the system tells.
pub fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

/// Load before a run above which its figures are not called quiet.
pub const QUIET_LOAD: f64 = 0.5;

/// Says in what state of the machine the figures were taken.
pub fn print_load(before: Option<f64>) {
    let quiet = before.is_some_and(|load| load <= QUIET_LOAD);
    let word = if quiet { "quiet" } else { "NOT QUIET: run again for figures to publish" };
    println!("load before {before:?}, after {:?}: {word}", load());
}

/// Order-independent, so that stores may answer in any order.
pub fn checksum(key: &[u8], value: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(value, xxhash_rust::xxh3::xxh3_64(key))
}

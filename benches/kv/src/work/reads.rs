//! Gets and scans of a settled store.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::Sizes;
use crate::data::{KEY, key};
use crate::measure::{Clock, Table, Turn, checksum};
use crate::stores::{Level, Outcome, Reader, Store};

/// Rows of one scan.
const SCAN_ROWS: usize = 100;
/// Keys of one multi-get.
const MANY: usize = 100;
/// Share of the rows that hot gets ask for.
const HOT: u64 = 100;

/// All read workloads over one load.
pub fn reads(sizes: &Sizes) -> Outcome {
    let folder = sizes.scratch()?;
    let names = sizes.names();
    let mut stores = vec![];
    for name in &names {
        let store = sizes.open(name, folder.path(), Level::Buffered)?;
        sizes.load(&*store)?;
        stores.push(store);
    }
    let run = |work: &str, ops: u64, turn: &dyn Fn(&dyn Reader, &mut u64) -> Outcome| {
        Table::play(work, &names, sizes.rounds, |name| {
            let at = names.iter().position(|known| *known == name).unwrap_or(0);
            timed(&*stores[at], ops, turn)
        })
    };
    run("get, random", sizes.ops, &|reader, sum| gets(reader, sizes.ops, sizes.rows, sum))?;
    run("get, hot 1 %", sizes.ops, &|reader, sum| gets(reader, sizes.ops, sizes.rows / HOT, sum))?;
    run("get, absent", sizes.ops, &|reader, sum| absent(reader, sizes, sum))?;
    run("multi-get of 100", sizes.ops, &|reader, sum| many(reader, sizes, sum))?;
    for (work, reverse) in [("scan 100, forward", false), ("scan 100, backward", true)] {
        run(work, sizes.ops / 10, &|reader, sum| scans(reader, sizes, reverse, sum))?;
    }
    Ok(())
}

fn timed(store: &dyn Store, ops: u64, turn: &dyn Fn(&dyn Reader, &mut u64) -> Outcome) -> Outcome<Turn> {
    let (mut clock, mut sum) = (Clock::default(), 0);
    clock.time(|| store.read(&mut |reader| turn(reader, &mut sum)))?;
    Ok(Turn { took: clock.0, ops, checksum: sum })
}

fn add(sum: &mut u64) -> impl FnMut(&[u8], &[u8]) {
    |key, value| *sum = sum.wrapping_add(checksum(key, value))
}

fn gets(reader: &dyn Reader, ops: u64, among: u64, sum: &mut u64) -> Outcome {
    let mut dice = SmallRng::seed_from_u64(1);
    for _ in 0..ops {
        if !reader.get(&key(dice.random_range(0..among)), &mut add(sum))? {
            return Err("a row is missing".into());
        }
    }
    Ok(())
}

fn absent(reader: &dyn Reader, sizes: &Sizes, sum: &mut u64) -> Outcome {
    let mut dice = SmallRng::seed_from_u64(2);
    for _ in 0..sizes.ops {
        reader.get(&key(dice.random_range(sizes.rows..u64::MAX)), &mut add(sum))?;
    }
    Ok(())
}

fn many(reader: &dyn Reader, sizes: &Sizes, sum: &mut u64) -> Outcome {
    let mut dice = SmallRng::seed_from_u64(3);
    for _ in 0..sizes.ops / MANY as u64 {
        let keys: Vec<[u8; KEY]> = (0..MANY).map(|_| key(dice.random_range(0..sizes.rows))).collect();
        reader.get_many(&keys, &mut add(sum))?;
    }
    Ok(())
}

fn scans(reader: &dyn Reader, sizes: &Sizes, reverse: bool, sum: &mut u64) -> Outcome {
    let mut dice = SmallRng::seed_from_u64(4);
    for _ in 0..sizes.ops / 10 {
        let from = key(dice.random_range(0..sizes.rows));
        reader.scan(&from, SCAN_ROWS, reverse, &mut add(sum))?;
    }
    Ok(())
}

/// Gets from files that are in nobody's memory.
pub fn cold(sizes: &Sizes) -> Outcome {
    let folder = sizes.scratch()?;
    for name in sizes.names() {
        sizes.load(&*sizes.open(name, folder.path(), Level::Buffered)?)?;
    }
    Table::play("get, cold", &sizes.names(), sizes.rounds, |name| {
        super::space::evict(&folder.path().join(name))?;
        let store = sizes.open(name, folder.path(), Level::Buffered)?;
        timed(&*store, sizes.ops, &|reader, sum| gets(reader, sizes.ops, sizes.rows, sum))
    })?;
    Ok(())
}

//! YCSB A to F with its Zipfian skew, one client, buffered (Cooper et al., SoCC 2010).

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::Sizes;
use crate::data::{Zipf, key, value};
use crate::measure::{Clock, Table, Turn, checksum};
use crate::stores::{Level, Outcome, Store};

/// A mix of operations, in percent; what is left over are scans.
#[derive(Clone, Copy)]
struct Mix {
    name: &'static str,
    read: u32,
    update: u32,
    insert: u32,
    modify: u32,
    latest: bool,
}

const fn mix(name: &'static str, read: u32, update: u32, insert: u32, modify: u32) -> Mix {
    Mix { name, read, update, insert, modify, latest: false }
}

const MIXES: [Mix; 6] = [
    mix("YCSB A", 50, 50, 0, 0),
    mix("YCSB B", 95, 5, 0, 0),
    mix("YCSB C", 100, 0, 0, 0),
    Mix { latest: true, ..mix("YCSB D", 95, 0, 5, 0) },
    mix("YCSB E", 0, 0, 5, 0),
    mix("YCSB F", 50, 0, 0, 50),
];

const SCAN_MAX: usize = 100;

pub fn ycsb(sizes: &Sizes) -> Outcome {
    let names = sizes.names();
    let folder = sizes.scratch()?;
    let mut stores = vec![];
    for name in &names {
        let store = sizes.open(name, folder.path(), Level::Buffered)?;
        sizes.load(&*store)?;
        stores.push((store, sizes.rows));
    }
    let zipf = Zipf::new(sizes.rows);
    for (seed, mix) in MIXES.iter().enumerate() {
        let mut round = vec![0; names.len()];
        Table::play(mix.name, &names, sizes.rounds, |name| {
            let at = names.iter().position(|known| *known == name).unwrap_or(0);
            round[at] += 1;
            let (store, rows) = &mut stores[at];
            play(&**store, rows, mix, &zipf, sizes, (seed as u64) << 8 | round[at])
        })?;
    }
    Ok(())
}

fn play(
    store: &dyn Store,
    rows: &mut u64,
    mix: &Mix,
    zipf: &Zipf,
    sizes: &Sizes,
    seed: u64,
) -> Outcome<Turn> {
    let mut dice = SmallRng::seed_from_u64(seed);
    let (mut sum, mut clock) = (0u64, Clock::default());
    clock.time(|| {
        (0..sizes.ops).try_for_each(|_| step(store, rows, mix, zipf, sizes, (&mut dice, &mut sum)))
    })?;
    Ok(Turn { took: clock.0, ops: sizes.ops, checksum: sum })
}

fn step(
    store: &dyn Store,
    rows: &mut u64,
    mix: &Mix,
    zipf: &Zipf,
    sizes: &Sizes,
    (dice, sum): (&mut SmallRng, &mut u64),
) -> Outcome {
    let row = if mix.latest { *rows - 1 - zipf.rank(dice).min(*rows - 1) } else { zipf.scattered(dice) };
    let (op, version) = (dice.random_range(0..100), dice.random());
    let mut add = |key: &[u8], value: &[u8]| *sum = sum.wrapping_add(checksum(key, value));
    if op < mix.read {
        return store.read(&mut |reader| reader.get(&key(row), &mut add).map(|_| ()));
    }
    if op < mix.read + mix.update {
        return store.put_one(&key(row), &value(row, version, sizes.value));
    }
    if op < mix.read + mix.update + mix.insert {
        *rows += 1;
        return store.put_one(&key(*rows - 1), &value(*rows - 1, version, sizes.value));
    }
    if op < mix.read + mix.update + mix.insert + mix.modify {
        store.read(&mut |reader| reader.get(&key(row), &mut add).map(|_| ()))?;
        return store.put_one(&key(row), &value(row, version, sizes.value));
    }
    let limit = dice.random_range(1..=SCAN_MAX);
    store.read(&mut |reader| reader.scan(&key(row), limit, false, &mut add))
}

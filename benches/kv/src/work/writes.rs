//! Puts of random keys: rows one by one, in batches, as Arrow batches, and over keys that are there.

use super::Sizes;
use crate::data::Rows;
use crate::measure::{Clock, Table, Turn};
use crate::stores::{Level, Outcome, Store, Trilith};

/// Puts batches into an empty store; what the store does in the background meanwhile is part of the time.
pub fn batches(sizes: &Sizes) -> Outcome {
    let work = format!("put batches of {}, buffered", sizes.batch);
    fresh(sizes, &work, sizes.rows, |store, clock, rows| clock.time(|| store.put(rows)))
}

/// Puts rows one by one into an empty store.
pub fn singles(sizes: &Sizes) -> Outcome {
    fresh(sizes, "put one by one, buffered", sizes.ops, |store, clock, rows| {
        clock.time(|| rows.iter().try_for_each(|(key, value)| store.put_one(key, value)))
    })
}

fn fresh(
    sizes: &Sizes,
    work: &str,
    count: u64,
    put: impl Fn(&dyn Store, &mut Clock, &Rows) -> Outcome,
) -> Outcome {
    Table::play(work, &sizes.names(), sizes.rounds, |name| {
        let folder = sizes.scratch()?;
        let store = sizes.open(name, folder.path(), Level::Buffered)?;
        let mut clock = Clock::default();
        for start in (0..count).step_by(sizes.batch as usize) {
            put(&*store, &mut clock, &Rows::new(start..(start + sizes.batch).min(count), 0, sizes.value))?;
        }
        Ok(Turn { took: clock.0, ops: count, checksum: 0 })
    })?;
    Ok(())
}

/// Bulk ingest in one go: Arrow batches through our appender, write batches of 10,000 elsewhere.
pub fn ingest(sizes: &Sizes) -> Outcome {
    Table::play("ingest, durable at the end", &sizes.names(), sizes.rounds, |name| {
        let folder = sizes.scratch()?;
        let rows: Vec<Rows> = (0..sizes.rows)
            .step_by(10_000)
            .map(|start| Rows::new(start..(start + 10_000).min(sizes.rows), 0, sizes.value))
            .collect();
        let mut clock = Clock::default();
        if name == "trilith" {
            let store = Trilith::open(&folder.path().join(name), Level::Durable)?;
            let batches = rows.iter().map(|rows| store.batch(rows)).collect::<Outcome<Vec<_>>>()?;
            clock.time(|| store.append(&batches))?;
        } else {
            let store = sizes.open(name, folder.path(), Level::Buffered)?;
            clock.time(|| rows.iter().try_for_each(|rows| store.put(rows)))?;
        }
        Ok(Turn { took: clock.0, ops: sizes.rows, checksum: 0 })
    })?;
    Ok(())
}

/// Upserts `ops` rows that are there, in one commit, durable.
pub fn upserts(sizes: &Sizes) -> Outcome {
    let folder = sizes.scratch()?;
    for name in sizes.names() {
        sizes.load(&*sizes.open(name, folder.path(), Level::Buffered)?)?;
    }
    let mut version = 0;
    Table::play("upsert existing, durable", &sizes.names(), sizes.rounds, |name| {
        let store = sizes.open(name, folder.path(), Level::Durable)?;
        version += 1;
        let step = (sizes.rows / sizes.ops).max(1);
        let rows = Rows::new((0..sizes.ops).map(|i| (i * step + version) % sizes.rows), version, sizes.value);
        let mut clock = Clock::default();
        clock.time(|| store.put(&rows))?;
        Ok(Turn { took: clock.0, ops: rows.len() as u64, checksum: 0 })
    })?;
    Ok(())
}

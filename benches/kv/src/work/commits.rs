//! Durable commits of one row, by one client and by many, beside the bare disk.

use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Sizes;
use crate::data::{key, value};
use crate::measure::{Clock, Table, Turn};
use crate::stores::{Level, Outcome, Store};

/// One row and its key in a log, about.
const BARE_BYTES: usize = 256;
const CLIENTS: u64 = 32;

pub fn commits(sizes: &Sizes) -> Outcome {
    let folder = sizes.scratch()?;
    let mut names = sizes.names();
    names.push("bare");
    let numbers = AtomicU64::new(0);
    for clients in [1, CLIENTS] {
        let work = format!("durable commits, {clients} clients");
        Table::play(work, &names, sizes.rounds, |name| {
            let took = match name {
                "bare" => bare(&folder.path().join("bare.log"), sizes.ops)?,
                _ => {
                    let store = sizes.open(name, folder.path(), Level::Durable)?;
                    clock(&*store, clients, sizes, &numbers)?
                }
            };
            Ok(Turn { took: took.0, ops: sizes.ops, checksum: 0 })
        })?;
    }
    Ok(())
}

fn clock(store: &dyn Store, clients: u64, sizes: &Sizes, numbers: &AtomicU64) -> Outcome<Clock> {
    let each = sizes.ops / clients;
    let client = || -> Outcome {
        for _ in 0..each {
            let i = numbers.fetch_add(1, Ordering::Relaxed);
            store.put_one(&key(i), &value(i, 0, sizes.value))?;
        }
        Ok(())
    };
    let mut clock = Clock::default();
    clock.time(|| {
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
            clients.into_iter().try_for_each(|client| client.join().unwrap_or(Err("a client died".into())))
        })
    })?;
    Ok(clock)
}

/// `ops` times append and fdatasync, by one client: what N clients could do at best alone is N times this rate.
fn bare(path: &std::path::Path, ops: u64) -> Outcome<Clock> {
    let mut file = File::create(path)?;
    let mut clock = Clock::default();
    for _ in 0..ops {
        clock.time(|| file.write_all(&[7; BARE_BYTES]).and_then(|()| file.sync_data()))?;
    }
    Ok(clock)
}

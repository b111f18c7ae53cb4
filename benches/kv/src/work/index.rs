//! The memtable's index alone beside the skiplist it replaced: no log, no rows.

use std::sync::atomic::{AtomicU32, Ordering};

use crossbeam_skiplist::SkipMap;
use trilith_engine::memtable::{From, RadixTree};

use super::Sizes;
use crate::data::{KEY, key};
use crate::measure::{Clock, Table, Turn};
use crate::stores::Outcome;

/// Keys that a memtable of 64 MiB holds, about.
const KEYS: u64 = 400_000;

trait Index {
    fn replace(&self, key: &[u8], entry: u32) -> Outcome;
    fn newest(&self, key: &[u8]) -> Option<u32>;
    fn walk(&self) -> u64;
}

impl Index for RadixTree {
    fn replace(&self, key: &[u8], entry: u32) -> Outcome {
        RadixTree::replace(self, key, entry, |_| {})?;
        Ok(())
    }

    fn newest(&self, key: &[u8]) -> Option<u32> {
        RadixTree::newest(self, key)
    }

    fn walk(&self) -> u64 {
        let (mut walk, mut key) = (RadixTree::walk(self, From::End, false), Vec::new());
        std::iter::from_fn(|| self.step(&mut walk, &mut key)).map(u64::from).sum()
    }
}

impl Index for SkipMap<Box<[u8]>, AtomicU32> {
    fn replace(&self, key: &[u8], entry: u32) -> Outcome {
        match self.get(key) {
            Some(found) => found.value().store(entry, Ordering::Release),
            None => drop(self.insert(key.into(), AtomicU32::new(entry))),
        }
        Ok(())
    }

    fn newest(&self, key: &[u8]) -> Option<u32> {
        Some(self.get(key)?.value().load(Ordering::Acquire))
    }

    fn walk(&self) -> u64 {
        self.iter().map(|found| u64::from(found.value().load(Ordering::Acquire))).sum()
    }
}

pub fn index(sizes: &Sizes) -> Outcome {
    let keys: Vec<[u8; KEY]> = (0..KEYS).map(key).collect();
    let works: [(&str, fn(&dyn Index, &[[u8; KEY]]) -> Outcome<u64>); 3] = [
        ("index: 400 k random inserts", |_, _| Ok(0)),
        ("index: random lookups", |index, keys| {
            Ok(keys.iter().filter_map(|key| index.newest(key)).map(u64::from).sum())
        }),
        ("index: walk in order", |index, _| Ok(index.walk())),
    ];
    for (at, (work, play)) in works.into_iter().enumerate() {
        Table::play(work, &["radix", "skiplist"], sizes.rounds, |name| {
            let index: Box<dyn Index> =
                if name == "radix" { Box::new(RadixTree::default()) } else { Box::new(SkipMap::new()) };
            let (mut fill, mut clock) = (Clock::default(), Clock::default());
            fill.time(|| keys.iter().zip(0..).try_for_each(|(key, entry)| index.replace(key, entry)))?;
            let checksum = clock.time(|| play(&*index, &keys))?;
            let took = if at == 0 { fill.0 } else { clock.0 };
            Ok(Turn { took, ops: KEYS, checksum })
        })?;
    }
    Ok(())
}

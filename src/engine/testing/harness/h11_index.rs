//! The index of a memtable in a schedule: one thread replaces entries, others look up keys and walk.
//!
//! What a reader must see is every entry whose replacement had returned before it began; what it may see, those begun
//! before it ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use trilith_engine::common::sync;
use trilith_engine::memtable::{From, RadixTree};

/// Keys and what one writer did to them, in order: entry `n` is of key `n`.
struct Shared {
    index: RadixTree,
    keys: Vec<Vec<u8>>,
    /// Entries whose replacement was begun, and those that returned.
    begun: AtomicU32,
    done: AtomicU32,
    late: bool,
}

/// Keys of one schedule: nodes of every kind grow, keys end where others go on.
fn keys(dice: &mut SmallRng) -> Vec<Vec<u8>> {
    let (letters, longest) = [(2, 4), (6, 3), (20, 2), (60, 2), (255, 1)][dice.random_range(0..5)];
    let count = dice.random_range(4..70);
    let key = |dice: &mut SmallRng| -> Vec<u8> {
        let length = dice.random_range(0..=longest);
        (0..length).map(|_| dice.random_range(0..=letters as u8)).collect()
    };
    (0..count).map(|_| key(dice)).collect()
}

/// The root of the schedule. A `late` reader forgets between two keys of a walk what it had before it: a planted bug.
pub fn body(seed: u64, late: bool) {
    let mut dice = SmallRng::seed_from_u64(seed);
    let shared = Arc::new(Shared {
        index: RadixTree::default(),
        keys: keys(&mut dice),
        begun: AtomicU32::new(0),
        done: AtomicU32::new(0),
        late,
    });
    let readers = (0..2).map(|_| {
        let (shared, seed) = (Arc::clone(&shared), dice.random());
        sync::spawn("reader", move || read(&shared, seed))
    });
    let readers: Vec<_> = readers.collect();
    for (n, key) in shared.keys.iter().enumerate() {
        shared.begun.store(n as u32 + 1, Ordering::SeqCst);
        shared.index.replace(key, n as u32, |_| {}).unwrap();
        shared.done.store(n as u32 + 1, Ordering::SeqCst);
    }
    readers.into_iter().for_each(|reader| reader.unwrap().join());
    let newest = newest_of(&shared.keys);
    assert_eq!(walk(&shared, false), newest.iter().map(|(key, n)| (key.clone(), *n)).collect::<Vec<_>>());
}

fn newest_of(keys: &[Vec<u8>]) -> BTreeMap<Vec<u8>, u32> {
    keys.iter().cloned().zip(0..).collect()
}

fn walk(shared: &Shared, reverse: bool) -> Vec<(Vec<u8>, u32)> {
    let (mut walk, mut found, mut key) = (shared.index.walk(From::End, reverse), Vec::new(), Vec::new());
    while let Some(entry) = shared.index.step(&mut walk, &mut key) {
        found.push((key.clone(), entry));
    }
    found
}

fn read(shared: &Shared, seed: u64) {
    let mut dice = SmallRng::seed_from_u64(seed);
    for _ in 0..3 {
        let before = if shared.late { &shared.begun } else { &shared.done }.load(Ordering::SeqCst);
        let must = newest_of(&shared.keys[..before as usize]);
        let reverse = dice.random();
        let found = if dice.random() { walk(shared, reverse) } else { look_up(shared, &must) };
        let begun = shared.begun.load(Ordering::SeqCst);
        check(shared, &must, &found, begun);
        let ordered = found.windows(2).all(|pair| (pair[0].0 < pair[1].0) != reverse);
        assert!(ordered || found.len() == must.len(), "a walk out of order: {found:?}");
    }
}

fn look_up(shared: &Shared, must: &BTreeMap<Vec<u8>, u32>) -> Vec<(Vec<u8>, u32)> {
    let found = must.keys().map(|key| (key.clone(), shared.index.newest(key)));
    found.filter_map(|(key, entry)| Some((key, entry?))).collect()
}

fn check(shared: &Shared, must: &BTreeMap<Vec<u8>, u32>, found: &[(Vec<u8>, u32)], begun: u32) {
    let seen: BTreeMap<_, _> = found.iter().cloned().collect();
    assert_eq!(seen.len(), found.len(), "a key comes twice");
    for (key, entry) in must {
        assert!(seen.contains_key(key), "key {key:?} is missing");
        let newest = &seen[key];
        assert!(newest >= entry, "key {key:?}: entry {newest}, and {entry} was there before");
    }
    for (key, entry) in &seen {
        assert!(*entry < begun && shared.keys[*entry as usize] == *key, "key {key:?}: entry {entry}");
    }
}

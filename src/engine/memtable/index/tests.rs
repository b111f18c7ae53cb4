//! Every index against a `BTreeMap`, and readers beside a writer.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;

use super::skiplist::SkipList;
use super::{From, KeyIndex, RadixTree};

impl KeyIndex for RadixTree {
    fn replace(&self, key: &[u8], entry: u32) -> Option<u32> {
        RadixTree::replace(self, key, entry, |_| {}).unwrap()
    }

    fn newest(&self, key: &[u8]) -> Option<u32> {
        RadixTree::newest(self, key)
    }

    fn walked(&self, from: From<'_>, reverse: bool) -> Vec<(Vec<u8>, u32)> {
        let mut walk = self.walk(from, reverse);
        let mut key = Vec::new();
        std::iter::from_fn(|| self.step(&mut walk, &mut key).map(|entry| (key.clone(), entry))).collect()
    }
}

/// Keys that are prefixes of each other, share long beginnings, or fan out widely.
fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(0u8..3, 0..8),
        prop::collection::vec(any::<u8>(), 0..3),
        (0usize..40, any::<u8>()).prop_map(|(len, end)| [vec![7; len], vec![end]].concat()),
        any::<u16>().prop_map(|number| u128::from(number).to_be_bytes().to_vec()),
    ]
}

fn is_a_map<I: KeyIndex>(keys: &[Vec<u8>], probes: &[Vec<u8>]) {
    let index = I::default();
    let mut model: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
    for (entry, key) in keys.iter().enumerate() {
        let entry = entry as u32;
        assert_eq!(index.replace(key, entry), model.insert(key.clone(), entry), "{key:?}");
    }
    let sorted = |found: &mut dyn Iterator<Item = (&Vec<u8>, &u32)>| {
        found.map(|(key, entry)| (key.clone(), *entry)).collect::<Vec<_>>()
    };
    assert_eq!(index.walked(From::End, false), sorted(&mut model.iter()));
    assert_eq!(index.walked(From::End, true), sorted(&mut model.iter().rev()));
    for probe in probes.iter().chain(keys) {
        assert_eq!(index.newest(probe), model.get(probe).copied(), "{probe:?}");
        let (up, down) = (index.walked(From::Key(probe), false), index.walked(From::Key(probe), true));
        assert_eq!(up, sorted(&mut model.range(probe.clone()..)), "from {probe:?} upwards");
        assert_eq!(down, sorted(&mut model.range(..=probe.clone()).rev()), "from {probe:?} downwards");
    }
}

/// Keys `0..last` are in the index whenever `last` was published, at their newest entry or a newer one.
fn is_seen_by_readers<I: KeyIndex>(keys: &[Vec<u8>]) {
    let index = I::default();
    let published = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for reader in 0..2 {
            let (index, published) = (&index, &published);
            scope.spawn(move || {
                let mut turn = reader;
                while (published.load(Ordering::Acquire) as usize) < keys.len() {
                    let seen = published.load(Ordering::Acquire) as usize;
                    for key in keys[..seen].iter().rev().take(50) {
                        assert!(index.newest(key).is_some());
                    }
                    turn += 1;
                    if turn % 16 == 0 {
                        let walked: Vec<Vec<u8>> =
                            index.walked(From::End, turn % 32 == 0).into_iter().map(|(key, _)| key).collect();
                        assert!(walked.is_sorted() || walked.iter().rev().is_sorted());
                        assert!(seen > 300 || keys[..seen].iter().all(|key| walked.contains(key)));
                    }
                }
            });
        }
        for (entry, key) in keys.iter().enumerate() {
            index.replace(key, entry as u32);
            published.store(entry as u32 + 1, Ordering::Release);
        }
    });
}

proptest! {
    #[test]
    fn the_radix_tree_is_a_map(
        keys in prop::collection::vec(key(), 0..300),
        probes in prop::collection::vec(key(), 0..40),
    ) {
        is_a_map::<RadixTree>(&keys, &probes);
    }

    #[test]
    fn the_skiplist_is_a_map(
        keys in prop::collection::vec(key(), 0..100),
        probes in prop::collection::vec(key(), 0..20),
    ) {
        is_a_map::<SkipList>(&keys, &probes);
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn readers_beside_a_writer_miss_nothing(keys in prop::collection::vec(key(), 0..1000)) {
        is_seen_by_readers::<RadixTree>(&keys);
        is_seen_by_readers::<SkipList>(&keys);
    }
}

#[test]
fn long_keys_and_wide_nodes_fit() {
    let long = |end: u8| [vec![1; 100_000], vec![end]].concat();
    let keys: Vec<Vec<u8>> = (0..=255).map(long).chain((0..=255).map(|byte| vec![byte])).collect();
    is_a_map::<RadixTree>(&keys[..300], &keys[250..260]);
}

#![expect(clippy::unwrap_used, reason = "tests")]
//! Fences find the right batch; a crafted companion is an error, not a panic.

use arrow::buffer::Buffer;
use proptest::prelude::*;

use super::*;
use crate::format::bloom::FilterBuilder;
use crate::format::hash::{Hash128, TRAILER_LEN};

fn fences(keys: &[Vec<u8>]) -> Fences {
    let firsts = keys.iter().map(|key| key.as_slice().into()).collect();
    Fences::new(firsts, keys.last().unwrap().as_slice().into()).unwrap()
}

fn sample() -> Vec<u8> {
    let keys = [b"a".to_vec(), b"m".to_vec()];
    let mut filters = FilterBuilder::default();
    for key in &keys {
        filters.insert(key);
        filters.finish_batch();
    }
    let header = SumHeader {
        database: DatabaseId(7),
        file: FileId(1),
        table: TableId(2),
        data_len: 5000,
        rows: 2,
        min_seq: SeqNo(1),
        max_seq: SeqNo(2),
    };
    let batch = |offset, end_row| BatchBlock { offset, meta_len: 64, body_len: 64, end_row };
    let parts = Parts {
        header,
        block_sums: &[0; 8],
        batches: &[batch(64, 1), batch(256, 2)],
        keys: Some((fences(&keys), filters)),
        row_ids: None,
        zones: &[],
    };
    encode(parts).0
}

fn read(bytes: Vec<u8>) -> crate::common::Result<(Sum, Hash128)> {
    decode("sst/1.sum", DatabaseId(7), FileId(1), &Buffer::from_vec(bytes))
}

#[test]
fn what_was_written_is_read() {
    let (sum, _) = read(sample()).unwrap();
    assert_eq!(sum.header.rows, 2);
    assert_eq!(sum.batches[1].offset, 256);
    assert!(matches!(sum.lookup, Lookup::Keys { .. }));
}

#[test]
fn another_database_file_or_version_is_named() {
    let other = decode("sst/1.sum", DatabaseId(8), FileId(1), &Buffer::from_vec(sample())).unwrap_err();
    assert!(other.to_string().contains("belongs to file 1 of database"), "{other}");
    let other = decode("sst/2.sum", DatabaseId(7), FileId(2), &Buffer::from_vec(sample())).unwrap_err();
    assert!(other.to_string().contains("belongs to file 1"), "{other}");
    let mut newer = sample();
    newer[8] = 9;
    newer.truncate(newer.len() - TRAILER_LEN);
    Hash128::seal(&mut newer);
    let error = read(newer).unwrap_err().to_string();
    assert!(error.contains("found 9") && error.contains("newer trilith"), "{error}");
}

#[test]
fn every_flip_and_every_truncation_is_an_error() {
    let good = sample();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        assert!(read(bad).is_err(), "byte {at}");
        assert!(read(good[..at].to_vec()).is_err(), "cut at {at}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_forged_seal_never_panics(at in 0..800usize, value in any::<u8>(), wide in any::<bool>()) {
        let mut forged = sample();
        let at = at % (forged.len() - TRAILER_LEN);
        forged.truncate(forged.len() - TRAILER_LEN);
        forged[at] = value;
        if wide {
            forged.iter_mut().skip(at).take(8).for_each(|byte| *byte = value);
        }
        Hash128::seal(&mut forged);
        let _ = read(forged);
    }

    #[test]
    fn fences_find_the_batch_a_scan_finds(set in prop::collection::btree_set(prop::collection::vec(0..3u8, 0..12), 1..20),
                                          probe in prop::collection::vec(0..3u8, 0..12), from in 0..20usize) {
        let keys: Vec<Vec<u8>> = set.into_iter().collect();
        let fences = fences(&keys);
        let expected = keys.iter().rposition(|first| *first <= probe);
        let inside = expected.filter(|_| probe <= *keys.last().unwrap());
        prop_assert_eq!(fences.batch_of(&probe), inside);
        if expected.is_some_and(|batch| from <= batch) {
            prop_assert_eq!(fences.last_not_after(&probe, from), expected);
        }
        prop_assert_eq!(Fences::decode(&fences.encode()), Some(fences));
    }
}

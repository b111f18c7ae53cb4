//! Damage is told from a torn tail.

use super::{
    ReplayBound, WalEnd, WalHeader, WalWriter, append, create, header, is_corrupt, planted, read,
    read_header, records, replay, sample,
};
use crate::common::{DatabaseId, Epoch, Error, FileId, SeqNo};
use crate::format::wal_header::WAL_HEADER_LEN;
use crate::format::wal_record;
use crate::format::wal_record::RecordHeader;
use crate::testing::SimStorage;

#[test]
fn every_flipped_bit_of_a_sealed_file_is_damage() {
    let (bytes, end) = sample();
    for bit in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(read(&planted(&bad), 7, ReplayBound::Exact(end)).is_err(), "bit {bit}");
    }
}

#[test]
fn every_length_but_the_sealed_one_is_damage() {
    let (bytes, end) = sample();
    for len in 0..bytes.len() {
        assert!(is_corrupt(read(&planted(&bytes[..len]), 7, ReplayBound::Exact(end))), "length {len}");
    }
    let longer = [bytes.as_slice(), b"cut off when it was sealed"].concat();
    let (found, tail) = read(&planted(&longer), 7, ReplayBound::Exact(end)).unwrap();
    assert_eq!(found, records(1..=12));
    assert_eq!(tail.torn_bytes, 26);
}

/// The documented gap: of an open file, the last group that was synced has no later record to vouch for it.
#[test]
fn a_flipped_bit_of_an_open_file_is_damage_but_in_the_last_group() {
    let (bytes, _) = sample();
    let proven = read(&planted(&bytes), 7, ReplayBound::Open).unwrap().1.proven.len as usize;
    assert!(proven > bytes.len() / 2);
    for bit in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let result = read(&planted(&bad), 7, ReplayBound::Open);
        if bit / 8 < proven {
            assert!(result.is_err(), "bit {bit}");
        } else {
            let (found, tail) = result.unwrap();
            assert_eq!(found, records(1..=found.len() as u64));
            assert!(found.len() >= 9 && tail.torn_bytes > 0);
        }
    }
}

#[test]
fn a_cut_of_an_open_file_leaves_a_prefix() {
    let (bytes, _) = sample();
    for len in 0..bytes.len() {
        let result = read(&planted(&bytes[..len]), 7, ReplayBound::Open);
        if len < WAL_HEADER_LEN {
            assert!(is_corrupt(result), "length {len}");
        } else {
            let (found, tail) = result.unwrap();
            assert_eq!(found, records(1..=found.len() as u64));
            assert_eq!(tail.end.len + tail.torn_bytes, len as u64);
        }
    }
}

#[test]
fn a_missing_middle_is_damage() {
    let (bytes, _) = sample();
    let proven = read(&planted(&bytes), 7, ReplayBound::Open).unwrap().1.proven.len as usize;
    for start in (WAL_HEADER_LEN..proven).step_by(8) {
        let mut bad = bytes.clone();
        bad[start..proven].fill(0);
        assert!(is_corrupt(read(&planted(&bad), 7, ReplayBound::Open)), "zeros from {start}");
        let mut swapped = bytes.clone();
        swapped.copy_within(WAL_HEADER_LEN..WAL_HEADER_LEN + 56, start);
        assert!(
            swapped == bytes || is_corrupt(read(&planted(&swapped), 7, ReplayBound::Open)),
            "stale at {start}"
        );
    }
}

#[test]
fn zeros_after_the_end_are_a_torn_tail() {
    let (bytes, end) = sample();
    let (found, tail) =
        read(&planted(&[bytes.as_slice(), &[0; 5000]].concat()), 7, ReplayBound::Open).unwrap();
    assert_eq!((found, tail.end, tail.torn_bytes), (records(1..=12), end, 5000));
}

#[test]
fn evidence_is_found_far_away() {
    let storage = SimStorage::new();
    let mut writer = create(&storage, 7, None);
    writer.append(SeqNo(1), &[&vec![1; 3 << 20]]).unwrap();
    writer.sync().unwrap();
    append(&mut writer, 2..=2);
    writer.sync().unwrap();
    let mut bytes = storage.contents("wal/7.wal").unwrap();
    assert_eq!(read(&storage, 7, ReplayBound::Open).unwrap().0.len(), 2);
    bytes[WAL_HEADER_LEN + 100] ^= 1;
    let error = read(&planted(&bytes), 7, ReplayBound::Open).unwrap_err().to_string();
    assert!(error.contains("wal/7.wal is damaged at byte 96"), "{error}");
}

#[test]
fn lengths_are_bounded_by_the_file() {
    let (mut bytes, end) = sample();
    bytes[WAL_HEADER_LEN + 4..WAL_HEADER_LEN + 8].fill(0xff);
    assert!(is_corrupt(read(&planted(&bytes), 7, ReplayBound::Open)));
    assert!(is_corrupt(read(&planted(&bytes), 7, ReplayBound::Exact(end))));
}

#[test]
fn files_of_others_are_refused() {
    let (bytes, end) = sample();
    let storage = planted(&bytes);
    let stranger = DatabaseId(5);
    assert!(is_corrupt(replay(&storage, FileId(7), stranger, ReplayBound::Open, &mut |_, _| Ok(()))));
    assert!(is_corrupt(read_header(&storage, FileId(7), stranger)));
    storage.plant("wal/8.wal", &bytes);
    assert!(is_corrupt(read(&storage, 8, ReplayBound::Open)));
    let elsewhere = WalEnd { chain: end.chain ^ 1, ..end };
    assert!(is_corrupt(read(&storage, 7, ReplayBound::Exact(elsewhere))));
    assert!(matches!(read(&storage, 9, ReplayBound::Open), Err(Error::Io { .. })));
}

#[test]
fn records_of_another_epoch_are_refused() {
    let (bytes, end) = sample();
    let storage = SimStorage::new();
    let mut writer =
        WalWriter::create(&storage, WalHeader { epoch: Epoch(2), ..header(7, None) }, &|| Ok(())).unwrap();
    append(&mut writer, 1..=12);
    writer.sync().unwrap();
    let mixed =
        [&bytes[..WAL_HEADER_LEN], &storage.contents("wal/7.wal").unwrap()[WAL_HEADER_LEN..]].concat();
    assert!(is_corrupt(read(&planted(&mixed), 7, ReplayBound::Exact(end))));
    assert_eq!(read(&planted(&mixed), 7, ReplayBound::Open).unwrap().0, []);
}

/// Valid in themselves, and not what the writer of this file could have put there.
#[test]
fn records_that_do_not_follow_are_refused() {
    let (bytes, _) = sample();
    let (_, seed) = WalHeader::decode(&bytes, "wal/7.wal").unwrap();
    let (len, payload_crc) = wal_record::measure(&[]).unwrap();
    let (epoch, seq, at) = (Epoch(1), SeqNo(5), WAL_HEADER_LEN as u64);
    let right = RecordHeader { len, epoch, seq, synced_upto: at, prev_chain: seed, payload_crc };
    let (first, chain) = right.encode(seed, at);
    let second = RecordHeader { seq: SeqNo(6), prev_chain: chain, ..right };
    let read_with = |second: RecordHeader| {
        let (second, _) = second.encode(seed, at + right.stride());
        let file = [&bytes[..WAL_HEADER_LEN], &first, &second].concat();
        read(&planted(&file), 7, ReplayBound::Open).unwrap().0.len()
    };
    assert_eq!(read_with(second), 2);
    assert_eq!(read_with(RecordHeader { epoch: Epoch(2), ..second }), 1);
    assert_eq!(read_with(RecordHeader { seq: SeqNo(5), ..second }), 1);
    assert_eq!(read_with(RecordHeader { prev_chain: chain ^ 1, ..second }), 1);
    assert_eq!(read_with(RecordHeader { synced_upto: at + right.stride() + 8, ..second }), 1);
    assert_eq!(read_with(RecordHeader { len: 8, ..second }), 1);
}

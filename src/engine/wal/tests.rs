#![expect(clippy::unwrap_used, reason = "tests")]

use arrow::buffer::Buffer;
use proptest::prelude::*;

use super::*;
use crate::common::{ClosedReason, DatabaseId, Epoch, Error, FileId, Result, SeqNo};
use crate::format::wal_header::WAL_HEADER_LEN;
use crate::format::wal_record::{self, RecordHeader};
use crate::io::Storage;
use crate::testing::{CallKind, CrashPolicy, Fault, FaultError, SimStorage};

/// A lock that nobody takes away.
const HELD: crate::io::Fence<'static> = &|| Ok(());

const DB: DatabaseId = DatabaseId(0xfeed_0000_0000_0000_0000_0000_0000_0001);

type Records = Vec<(u64, Vec<u8>)>;

fn header(file: u64, prev: Option<WalEnd>) -> WalHeader {
    WalHeader { database: DB, file: FileId(file), epoch: Epoch(1), prev }
}

fn create(storage: &dyn Storage, file: u64, prev: Option<WalEnd>) -> WalWriter {
    WalWriter::create(storage, header(file, prev), &|| Ok(())).unwrap()
}

fn read(storage: &dyn Storage, file: u64, bound: ReplayBound) -> Result<(Records, WalTail)> {
    let mut found = Vec::new();
    let tail = replay(storage, FileId(file), DB, bound, &mut |seq, payload| {
        found.push((seq.0, payload.to_vec()));
        Ok(())
    })?;
    Ok((found, tail))
}

fn read_chain(storage: &dyn Storage, files: &[u64]) -> Result<Records> {
    let files: Vec<FileId> = files.iter().copied().map(FileId).collect();
    let mut found = Vec::new();
    replay_chain(storage, &files, DB, ReplayBound::Open, &mut |seq, payload| {
        found.push((seq.0, payload.to_vec()));
        Ok(())
    })?;
    Ok(found)
}

/// What commit `seq` says: some bytes, of a length that makes padding of every size.
fn payload(seq: u64) -> Vec<u8> {
    (0..seq * 7 % 60).map(|at| (at * 31 + seq) as u8).collect()
}

fn records(seqs: std::ops::RangeInclusive<u64>) -> Records {
    seqs.map(|seq| (seq, payload(seq))).collect()
}

fn append(writer: &mut WalWriter, seqs: std::ops::RangeInclusive<u64>) {
    seqs.for_each(|seq| writer.append(SeqNo(seq), &[&payload(seq)]).unwrap());
}

fn is_corrupt<T>(result: Result<T>) -> bool {
    matches!(result, Err(Error::Corrupt { .. }))
}

/// A closed file of commits 1 to 12 in groups of three, each synced, and its end.
fn sample() -> (Vec<u8>, WalEnd) {
    let storage = SimStorage::new();
    let mut writer = create(&storage, 7, None);
    for group in 0..4 {
        append(&mut writer, group * 3 + 1..=group * 3 + 3);
        writer.sync().unwrap();
    }
    writer.trim();
    (storage.contents("wal/7.wal").unwrap(), writer.end())
}

fn planted(bytes: &[u8]) -> SimStorage {
    let storage = SimStorage::new();
    storage.plant("wal/7.wal", bytes);
    storage
}

#[test]
fn ends_and_counts_are_right() {
    let storage = SimStorage::new();
    let mut writer = create(&storage, 7, None);
    assert!(writer.is_empty());
    assert_eq!((writer.len(), writer.unsynced_bytes()), (WAL_HEADER_LEN as u64, 0));
    append(&mut writer, 1..=3);
    assert_eq!(storage.contents("wal/7.wal").unwrap().len(), WAL_HEADER_LEN);
    let calls = storage.calls();
    writer.flush().unwrap();
    assert_eq!(storage.calls(), calls + 1, "a group is one write");
    assert_eq!(storage.contents("wal/7.wal").unwrap().len() as u64, writer.len());
    assert!(writer.unsynced_bytes() > 0);
    assert_ne!(writer.end(), writer.synced_end());
    writer.sync().unwrap();
    assert_eq!((writer.unsynced_bytes(), writer.end()), (0, writer.synced_end()));
    let calls = storage.calls();
    writer.sync().unwrap();
    assert_eq!(storage.calls(), calls, "nothing new, nothing to sync");
    let room = storage.contents("wal/7.wal").unwrap().len() as u64 - writer.len();
    let (found, tail) = read(&storage, 7, ReplayBound::Open).unwrap();
    assert_eq!(found, records(1..=3));
    assert_eq!((tail.end, tail.torn_bytes, tail.last_seq), (writer.end(), room, Some(SeqNo(3))));
    writer.trim();
    let (found, tail) = read(&storage, 7, ReplayBound::Exact(writer.end())).unwrap();
    assert_eq!((found, tail.torn_bytes), (records(1..=3), 0));
    assert_eq!(read_header(&storage, FileId(7), DB).unwrap(), header(7, None));
}

#[test]
fn a_storage_without_room_to_give_is_asked_once() {
    let storage = SimStorage::new();
    let mut writer = create(&storage, 7, None);
    storage.inject(Fault::forever(Some(CallKind::Reserve), 1, FaultError::ENOSPC));
    for group in 0..3 {
        append(&mut writer, group * 3 + 1..=group * 3 + 3);
        writer.sync().unwrap();
    }
    assert_eq!(storage.faults_fired(), 1);
    assert_eq!(storage.contents("wal/7.wal").unwrap().len() as u64, writer.len());
    assert_eq!(read(&storage, 7, ReplayBound::Open).unwrap().0, records(1..=9));
}

#[test]
fn room_is_asked_for_seldom() {
    let storage = SimStorage::new();
    let mut writer = create(&storage, 7, None);
    let calls = storage.calls();
    for seq in 1..=3000 {
        writer.append(SeqNo(seq), &[&[7; 200]]).unwrap();
        writer.sync().unwrap();
    }
    let asked = storage.calls() - calls - 2 * 3000;
    assert!((1..10).contains(&asked), "{asked} times");
    let (found, tail) = read(&storage, 7, ReplayBound::Open).unwrap();
    assert_eq!((found.len(), tail.end), (3000, writer.end()));
}

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

#[test]
fn a_chain_goes_over_files() {
    let storage = SimStorage::new();
    let mut first = create(&storage, 1, None);
    append(&mut first, 1..=4);
    first.sync().unwrap();
    let mut second = create(&storage, 2, Some(first.end()));
    append(&mut second, 5..=6);
    second.sync().unwrap();
    // The writer of an earlier epoch wakes up: what it adds was cut off.
    append(&mut first, 5..=9);
    first.sync().unwrap();
    let mut third = create(&storage, 5, Some(second.end()));
    append(&mut third, 7..=9);
    third.sync().unwrap();
    assert_eq!(read_chain(&storage, &[1, 2, 5]).unwrap(), records(1..=9));
    assert_eq!(read_chain(&storage, &[2, 5]).unwrap(), records(5..=9));
    assert_eq!(read_chain(&storage, &[]).unwrap(), []);
    assert!(is_corrupt(read_chain(&storage, &[1, 5])));
    let bytes = storage.contents("wal/1.wal").unwrap();
    storage.plant("wal/1.wal", &bytes[..300]);
    assert!(is_corrupt(read_chain(&storage, &[1, 2, 5])));
}

#[test]
fn an_earlier_epoch_cannot_follow_a_later_one() {
    let storage = SimStorage::new();
    let first =
        WalWriter::create(&storage, WalHeader { epoch: Epoch(9), ..header(1, None) }, &|| Ok(())).unwrap();
    create(&storage, 2, Some(first.end()));
    assert!(is_corrupt(read_chain(&storage, &[1, 2])));
}

#[test]
fn recovery_carries_what_is_not_proven() {
    let storage = SimStorage::new();
    let mut writer = create(&storage, 1, None);
    append(&mut writer, 1..=4);
    writer.sync().unwrap();
    append(&mut writer, 5..=6);
    writer.flush().unwrap();
    append(&mut writer, 7..=7);
    let after = storage.kill_image();
    let mut found = Vec::new();
    let mut visit = |seq: SeqNo, payload: Buffer| {
        found.push((seq.0, payload.to_vec()));
        Ok(())
    };
    let next = (FileId(2), Epoch(2), HELD);
    let mut recovered = recover(&after, &[FileId(1)], DB, ReplayBound::Open, next, &mut visit).unwrap();
    assert_eq!(found, records(1..=6));
    assert_eq!(recovered.tail.unwrap().last_seq, Some(SeqNo(6)));
    assert!(matches!(recovered.writer.append(SeqNo(6), &[]), Err(Error::Internal(_))));
    append(&mut recovered.writer, 7..=8);
    recovered.writer.sync().unwrap();
    // Whatever becomes of the bytes that the first process had not synced, nothing that was shown is gone.
    for seed in 0..100 {
        let cut = after.crash_image(seed, CrashPolicy::RANDOM);
        assert_eq!(read_chain(&cut, &[1, 2]).unwrap(), records(1..=8));
    }
    assert_eq!(read_header(&after, FileId(2), DB).unwrap().prev, recovered.tail.map(|tail| tail.proven));
}

#[test]
fn recovery_of_nothing_starts_a_log() {
    let storage = SimStorage::new();
    let next = (FileId(1), Epoch(1), HELD);
    let recovered = recover(&storage, &[], DB, ReplayBound::Open, next, &mut |_, _| Ok(())).unwrap();
    assert!(recovered.tail.is_none() && recovered.writer.is_empty());
}

#[test]
fn a_full_disk_takes_back_what_was_not_promised() {
    for (error, partly) in [(FaultError::ENOSPC, false), (FaultError::EDQUOT, true)] {
        let storage = SimStorage::new();
        storage.inject(Fault::forever(Some(CallKind::Reserve), 1, FaultError::ENOSPC));
        let mut writer = create(&storage, 1, None);
        append(&mut writer, 1..=2);
        writer.secure().unwrap();
        let fault = Fault::once(Some(CallKind::Append), 1, error);
        storage.inject(if partly { fault.partly() } else { fault });
        append(&mut writer, 3..=4);
        let message = writer.secure().unwrap_err();
        assert!(message.is_out_of_space() && writer.is_full(), "{message}");
        assert!(writer.append(SeqNo(3), &[]).is_err());
        // What was promised is made durable, and the log goes on after it.
        writer.sync().unwrap();
        let mut next = create(&storage, 2, Some(writer.end()));
        append(&mut next, 3..=5);
        next.sync().unwrap();
        for image in [storage.kill_image(), storage.crash_image(1, CrashPolicy::WORST)] {
            assert_eq!(read_chain(&image, &[1, 2]).unwrap(), records(1..=5));
        }
    }
}

#[test]
fn a_promise_that_cannot_be_kept_ends_the_writer() {
    let storage = SimStorage::new();
    let mut writer = create(&storage, 1, None);
    append(&mut writer, 1..=1);
    writer.promise();
    storage.inject(Fault::once(Some(CallKind::Append), 1, FaultError::ENOSPC));
    assert!(writer.flush().is_err() && !writer.is_full());
    assert!(matches!(writer.sync(), Err(Error::Closed(ClosedReason::Poisoned))));
}

#[test]
fn a_failed_writer_stops() {
    for kind in [CallKind::Append, CallKind::Sync] {
        let storage = SimStorage::new();
        let mut writer = create(&storage, 1, None);
        append(&mut writer, 1..=2);
        writer.sync().unwrap();
        storage.inject(Fault::once(Some(kind), 1, FaultError::EIO).partly());
        append(&mut writer, 3..=4);
        let message = writer.sync().unwrap_err().to_string();
        assert!(message.contains("\"wal/1.wal\""), "{message}");
        let closed = |result| assert!(matches!(result, Err(Error::Closed(ClosedReason::Poisoned))));
        closed(writer.sync());
        closed(writer.flush());
        closed(writer.append(SeqNo(9), &[]));
        // A new file goes on from the last point that is certain.
        let mut next = create(&storage, 2, Some(writer.synced_end()));
        append(&mut next, 3..=3);
        next.sync().unwrap();
        assert_eq!(read_chain(&storage, &[1, 2]).unwrap(), records(1..=3));
        assert_eq!(
            read_chain(&storage.crash_image(1, CrashPolicy::RANDOM), &[1, 2]).unwrap(),
            records(1..=3)
        );
    }
}

#[test]
fn misuse_is_refused() {
    let storage = SimStorage::new();
    let mut writer = create(&storage, 1, None);
    append(&mut writer, 5..=5);
    let before = writer.end();
    assert!(matches!(writer.append(SeqNo(5), &[]), Err(Error::Internal(_))));
    let piece = vec![0; 64 << 20];
    let too_long: Vec<&[u8]> = (0..17).map(|_| piece.as_slice()).collect();
    assert!(matches!(writer.append(SeqNo(6), &too_long), Err(Error::Limit { .. })));
    assert_eq!(writer.end(), before);
    assert!(matches!(WalWriter::create(&storage, header(1, None), &|| Ok(())), Err(Error::Io { .. })));
}

#[test]
fn an_error_of_the_visitor_comes_out() {
    let (bytes, end) = sample();
    let refuse = &mut |_, _| Err(Error::invalid("row", "refused"));
    let result = replay(&planted(&bytes), FileId(7), DB, ReplayBound::Exact(end), refuse);
    assert!(matches!(result, Err(Error::Invalid { .. })));
}

/// Writes, syncs, loses power anywhere, recovers, loses power in recovery too: every acknowledged commit is
/// there, and what is there is a prefix of what was written.
#[test]
fn no_acknowledged_commit_is_lost() {
    let storage = SimStorage::new();
    storage.record_history();
    let mut writer = create(&storage, 1, None);
    let (mut seq, mut acknowledged) = (0, vec![(storage.calls(), 0)]);
    for group in 1..=6_u64 {
        append(&mut writer, seq + 1..=seq + group);
        seq += group;
        if group % 2 == 0 {
            writer.flush().unwrap();
        } else {
            writer.sync().unwrap();
            acknowledged.push((storage.calls(), seq));
        }
    }
    let created = acknowledged[0].0;
    for call in created..=storage.calls() {
        let promised = acknowledged.iter().rev().find(|(at, _)| *at <= call).unwrap().1;
        for seed in 0..40 {
            let image = storage.crash_image_at(call, seed, CrashPolicy::RANDOM);
            check_recovery(&image, promised, seq);
            let again = (FileId(2), Epoch(2), HELD);
            image.stop_at(seed % 12 + 1, seed % 2 == 0);
            let _ = recover(&image, &[FileId(1)], DB, ReplayBound::Open, again, &mut |_, _| Ok(()));
            check_recovery(&image.crash_image(seed, CrashPolicy::RANDOM), promised, seq);
        }
    }
}

fn check_recovery(image: &SimStorage, promised: u64, written: u64) {
    let files: Vec<u64> =
        [1, 2].into_iter().filter(|file| image.contents(&format!("wal/{file}.wal")).is_some()).collect();
    let found = read_chain(image, &files).unwrap();
    let last = found.last().map_or(0, |(seq, _)| *seq);
    assert_eq!(found, records(1..=last));
    assert!(promised <= last && last <= written);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_appended_is_replayed(
        groups in prop::collection::vec(
            (prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..4), 0..6), 0..3_u8),
            0..8,
        ),
    ) {
        let storage = SimStorage::new();
        let mut writer = create(&storage, 7, None);
        let mut expected = Records::new();
        for (payloads, then) in &groups {
            for parts in payloads {
                let seq = expected.len() as u64 + 1;
                let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
                writer.append(SeqNo(seq), &parts).unwrap();
                expected.push((seq, parts.concat()));
            }
            match then {
                0 => {}
                1 => writer.flush().unwrap(),
                _ => writer.sync().unwrap(),
            }
        }
        writer.flush().unwrap();
        let (found, tail) = read(&storage, 7, ReplayBound::Open).unwrap();
        prop_assert_eq!(&found, &expected);
        prop_assert_eq!(tail.end, writer.end());
        prop_assert!(tail.proven.len <= writer.synced_end().len);
        prop_assert_eq!(read(&storage, 7, ReplayBound::Exact(writer.end())).unwrap().0, expected);
    }
}

//! Logs that continue one another, and recovery from them.

use arrow::buffer::Buffer;

use super::{
    DB, HELD, ReplayBound, WalHeader, WalWriter, append, create, header, is_corrupt, read_chain, read_header,
    records, recover,
};
use crate::common::{Epoch, Error, FileId, SeqNo};
use crate::testing::{CrashPolicy, SimStorage};

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

//! What a writer counts, asks the disk for, and takes back.

use super::{
    DB, ReplayBound, WalWriter, append, create, header, planted, read, read_chain, read_header, records,
    replay, sample,
};
use crate::common::{ClosedReason, Error, FileId, SeqNo};
use crate::format::wal_header::WAL_HEADER_LEN;
use crate::testing::{CallKind, CrashPolicy, Fault, FaultError, SimStorage};

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

//! The log: what it counts, what it tells damage from, what it keeps.
#![expect(clippy::unwrap_used, reason = "tests")]

mod chain;
mod crash;
mod damage;
mod writer;

use super::*;
use crate::common::{DatabaseId, Epoch, Error, FileId, Result, SeqNo};
use crate::io::Storage;
use crate::testing::SimStorage;

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

//! Reads the log over all its files, and goes on after it.
//!
//! Each file but the newest is sealed by the header of its successor. Recovery changes no file it finds: it
//! starts a new one that carries the records which are perhaps not durable, so that a power cut right after
//! loses nothing that was shown to anyone, and a crash in the middle leaves everything as it was.

use std::collections::VecDeque;

use arrow::buffer::Buffer;

use super::replay::{Record, scan};
use super::{ReplayBound, WalEnd, WalHeader, WalTail, WalWriter, read_header, wal_path};
use crate::common::{DatabaseId, Epoch, Error, FileId, Result, SeqNo};
use crate::io::{Fence, Storage};

/// A log that was read and can be appended to.
#[derive(Debug)]
pub struct Recovered {
    /// Appends to the new file.
    pub writer: WalWriter,
    /// What the newest file before it held; `None` when there was none.
    pub tail: Option<WalTail>,
}

/// Hands every record of the files, in ascending order and unbroken, to `visit`. `newest` says how the last
/// of them ends. Returns what the last one held; `None` without files.
///
/// # Errors
/// As [`super::replay`]; `Corrupt` also when a file does not continue the one before.
pub fn replay_chain(
    storage: &dyn Storage,
    files: &[FileId],
    database: DatabaseId,
    newest: ReplayBound,
    visit: &mut dyn FnMut(SeqNo, Buffer) -> Result<()>,
) -> Result<Option<WalTail>> {
    scan_chain(storage, files, database, newest, None, &mut |record| visit(record.seq, record.payload))
}

/// Reads on where an earlier reading of the log ended: `from` is what it returned, and `files` starts with the file
/// that it ended in. `visit` also gets the file of each record.
///
/// # Errors
/// As [`replay_chain`].
pub fn follow_chain(
    storage: &dyn Storage,
    files: &[FileId],
    database: DatabaseId,
    newest: ReplayBound,
    from: Option<&WalTail>,
    visit: &mut dyn FnMut(FileId, SeqNo, Buffer) -> Result<()>,
) -> Result<Option<WalTail>> {
    let mut visit = |record: Record| visit(record.end.file, record.seq, record.payload);
    scan_chain(storage, files, database, newest, from, &mut visit)
}

/// True when the log goes on from where `tail` ended. A writer that ended without a word may have left records that its
/// successor cut off, to carry them on itself.
///
/// # Errors
/// As [`read_header`].
pub fn goes_on_from(
    storage: &dyn Storage,
    successor: FileId,
    tail: &WalTail,
    database: DatabaseId,
) -> Result<bool> {
    let end = read_header(storage, successor, database)?.prev;
    Ok(end.is_some_and(|end| end.file == tail.end.file && (end.len > tail.end.len || end == tail.end)))
}

/// Replays the files and starts file `next`, which continues them.
///
/// # Errors
/// As [`replay_chain`] and [`WalWriter::create`].
pub fn recover(
    storage: &dyn Storage,
    files: &[FileId],
    database: DatabaseId,
    newest: ReplayBound,
    (next, epoch, fence): (FileId, Epoch, Fence<'_>),
    visit: &mut dyn FnMut(SeqNo, Buffer) -> Result<()>,
) -> Result<Recovered> {
    let mut in_doubt: VecDeque<(WalEnd, SeqNo, Buffer)> = VecDeque::new();
    let tail = scan_chain(storage, files, database, newest, None, &mut |record| {
        // Of what came before, this record vouches for the durable part; earlier files are sealed.
        let settled = |end: &WalEnd| end.file != record.end.file || end.len <= record.synced_upto;
        while in_doubt.front().is_some_and(|(end, ..)| settled(end)) {
            in_doubt.pop_front();
        }
        in_doubt.push_back((record.end, record.seq, record.payload.clone()));
        visit(record.seq, record.payload)
    })?;
    let prev = tail.map(|tail| tail.proven);
    let beyond = |end: WalEnd| prev.is_some_and(|prev| end.file == prev.file && end.len > prev.len);
    let carried =
        in_doubt.into_iter().filter(|(end, ..)| beyond(*end)).map(|(_, seq, payload)| (seq, payload));
    let carried: Vec<(SeqNo, Buffer)> = carried.collect();
    let mut writer = WalWriter::create_carrying(
        storage,
        WalHeader { database, file: next, epoch, prev },
        &carried,
        fence,
    )?;
    writer.continue_after(tail.and_then(|tail| tail.last_seq));
    Ok(Recovered { writer, tail })
}

fn scan_chain(
    storage: &dyn Storage,
    files: &[FileId],
    database: DatabaseId,
    newest: ReplayBound,
    from: Option<&WalTail>,
    visit: &mut dyn FnMut(Record) -> Result<()>,
) -> Result<Option<WalTail>> {
    let mut last: Option<WalTail> = None;
    for (at, &file) in files.iter().enumerate() {
        let bound = match files.get(at + 1) {
            Some(&successor) => seal_of(storage, file, successor, database)?,
            None => newest,
        };
        let tail = scan(storage, file, database, bound, from.filter(|from| from.end.file == file), visit)?;
        if last.is_some_and(|last| last.header.epoch > tail.header.epoch) {
            return Err(Error::corrupt(
                wal_path(file),
                40,
                "it was made by an earlier writer than the log before it",
            ));
        }
        let last_seq = tail.last_seq.or(last.and_then(|last| last.last_seq));
        last = Some(WalTail { last_seq, ..tail });
    }
    Ok(last)
}

/// Where `successor` says that `file` ends.
fn seal_of(
    storage: &dyn Storage,
    file: FileId,
    successor: FileId,
    database: DatabaseId,
) -> Result<ReplayBound> {
    let header = read_header(storage, successor, database)?;
    match header.prev {
        Some(end) if end.file == file => Ok(ReplayBound::Exact(end)),
        Some(end) if end.file > file => {
            let what = format!("it is missing, and log {successor} continues it");
            Err(Error::corrupt(wal_path(end.file), 0, what))
        }
        _ => Err(Error::corrupt(
            wal_path(successor),
            48,
            format!("it does not continue log {file}; a log is missing"),
        )),
    }
}

//! Opening: the live manifest, and the log after it.
//!
//! Replay stops at the torn tail of the newest log file; damage anywhere else is an error. Recovery changes no file: it
//! only starts the next log file, so a crash inside it changes nothing, however often.

use std::sync::Arc;

use arrow::buffer::Buffer;

use super::maintenance::key_spec;
use super::manifest::{FileRecord, Manifest, TableRecord};
use super::replay::Replay;
use crate::common::{DatabaseId, Epoch, Error, FileId, Result, SeqNo};
use crate::format::deletes::DeletesInfo;
use crate::format::layout;
use crate::io::{Fence, Storage};
use crate::lsm::{KnownBlobs, State, TableFile, TableState};
use crate::wal::{self, ReplayBound, WalTail, WalWriter, read_header};

/// What the log gave back.
#[derive(Debug)]
pub(super) struct Recovered {
    pub state: State,
    /// The newest commit.
    pub seq: SeqNo,
    /// The log file that goes on from there; `None` when nothing is written.
    pub wal: Option<WalWriter>,
    /// What the newest log file held.
    pub tail: Option<WalTail>,
}

/// Rebuilds the state that `manifest` and the log describe. With `next`, also starts the log file of that number
/// and epoch: it carries what is perhaps not durable yet, so that nothing shown to a reader is lost afterwards.
pub(super) fn recover(
    storage: &Arc<dyn Storage>,
    database: DatabaseId,
    manifest: &Manifest,
    next: Option<(FileId, Epoch)>,
    fence: Fence<'_>,
) -> Result<Recovered> {
    let state = open_state(storage, database, manifest)?;
    let newest_file = newest_in_files(&state);
    let mut replay = Replay::new(state, manifest.flushed_seq);
    let mut files = log_files(&**storage, manifest)?;
    if files.is_empty() && next.is_some() {
        // Past versions are read through the log: it stays one chain.
        files.extend(kept_log(&**storage, manifest)?);
    }
    check_first(&**storage, database, manifest, &files)?;
    let bound = newest_bound(manifest, &files)?;
    let mut visit = |seq, payload: Buffer| replay.commit(seq, &payload);
    let (wal, tail) = match next {
        Some((file, epoch)) => {
            let next = (file, epoch, fence);
            let recovered = wal::recover(&**storage, &files, database, bound, next, &mut visit)?;
            (Some(recovered.writer), recovered.tail)
        }
        None => (None, wal::replay_chain(&**storage, &files, database, bound, &mut visit)?),
    };
    replay.shadow_before(SeqNo(u64::MAX))?;
    let seq = replay.seq.max(newest_file).max(manifest.as_of);
    Ok(Recovered { state: replay.state, seq, wal, tail })
}

/// What the files of `manifest` hold.
pub(super) fn open_state(
    storage: &Arc<dyn Storage>,
    database: DatabaseId,
    manifest: &Manifest,
) -> Result<State> {
    open_state_over(storage, database, manifest, &[])
}

/// As [`open_state`], sharing what `open` has open already.
pub(super) fn open_state_over(
    storage: &Arc<dyn Storage>,
    database: DatabaseId,
    manifest: &Manifest,
    open: &[Arc<TableFile>],
) -> Result<State> {
    let mut state = State { schemas: manifest.schemas.iter().cloned().collect(), ..State::default() };
    state.times.note(manifest.as_of, manifest.as_of_ms);
    for record in &manifest.tables {
        let def = Arc::new(record.def.clone().derive());
        let files = open_files(storage, database, manifest, record, open)?;
        state.put(Arc::new(TableState::new(def, files, record.next_row_id)));
    }
    Ok(state)
}

/// The newest commit that a file holds.
pub(super) fn newest_in_files(state: &State) -> SeqNo {
    let files = state.tables.values().flat_map(|table| table.files.iter());
    files.map(|file| file.max_seq()).max().unwrap_or_default()
}

/// The files of a table; those that are in `open` already share what is open of them.
pub(super) fn open_files(
    storage: &Arc<dyn Storage>,
    database: DatabaseId,
    manifest: &Manifest,
    record: &TableRecord,
    open: &[Arc<TableFile>],
) -> Result<Vec<Arc<TableFile>>> {
    let key = key_spec(&record.def.clone().derive())?;
    let mut files = Vec::with_capacity(record.files.len());
    let mut blobs = KnownBlobs::of(open);
    for file in &record.files {
        let stored = stored_deletes(manifest, file)?;
        let known = open.iter().find(|known| *known.info() == file.sst);
        files.push(match known {
            Some(known) if known.stored_deletes() == stored.as_ref() => Arc::clone(known),
            Some(known) => Arc::new(known.with_stored_deletes(stored, file.dead)),
            None => {
                let (storage, sst) = (Arc::clone(storage), file.sst.clone());
                let (sst, stored) = ((sst, key.clone()), (stored, file.dead));
                let opened = TableFile::with_stored(storage, database, sst, stored, &mut blobs);
                Arc::new(opened.at_level(file.level))
            }
        });
    }
    Ok(files)
}

fn stored_deletes(manifest: &Manifest, file: &FileRecord) -> Result<Option<DeletesInfo>> {
    let Some(id) = file.deletes else { return Ok(None) };
    let found = manifest.deletes.iter().find(|info| info.file == id).copied();
    found.map(Some).ok_or_else(|| {
        let what = format!("it does not describe {}", layout::del(id));
        Error::corrupt(layout::manifest(manifest.number), 0, what)
    })
}

/// The log files to replay, oldest first.
pub(super) fn log_files(storage: &dyn Storage, manifest: &Manifest) -> Result<Vec<FileId>> {
    logs_from(storage, manifest.wal_start.unwrap_or_default())
}

/// The newest of the log files that only past versions need.
fn kept_log(storage: &dyn Storage, manifest: &Manifest) -> Result<Option<FileId>> {
    Ok(logs_from(storage, manifest.oldest_log())?.pop())
}

/// The log files from `start` on, oldest first.
pub(super) fn logs_from(storage: &dyn Storage, start: FileId) -> Result<Vec<FileId>> {
    let names = storage.list(layout::WAL_DIR)?;
    let logs =
        names.iter().filter(|name| name.ends_with(".wal")).filter_map(|name| layout::file_number(name));
    let mut files: Vec<FileId> = logs.filter(|file| *file >= start).collect();
    files.sort_unstable();
    Ok(files)
}

/// The first log continues one that is needed no more, or a log is missing.
pub(super) fn check_first(
    storage: &dyn Storage,
    database: DatabaseId,
    manifest: &Manifest,
    files: &[FileId],
) -> Result<()> {
    let Some(&first) = files.first() else { return Ok(()) };
    let before = read_header(storage, first, database)?.prev.map(|end| end.file);
    match before.filter(|before| *before >= manifest.wal_start.unwrap_or_default()) {
        Some(before) => {
            let what = format!("it is missing, and {} continues it", layout::wal(first));
            Err(Error::corrupt(layout::wal(before), 0, what))
        }
        None => Ok(()),
    }
}

/// After a clean close, the manifest knows where the newest log file ends, and that it must be there.
pub(super) fn newest_bound(manifest: &Manifest, files: &[FileId]) -> Result<ReplayBound> {
    let Some(sealed) = manifest.wal_sealed else { return Ok(ReplayBound::Open) };
    if !files.contains(&sealed.file) {
        return Err(Error::corrupt(
            layout::wal(sealed.file),
            0,
            "it is missing, and commits that it holds are in no other file",
        ));
    }
    Ok(if files.last() == Some(&sealed.file) { ReplayBound::Exact(sealed) } else { ReplayBound::Open })
}

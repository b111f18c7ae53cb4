//! A reader that follows a running writer through its files.
//!
//! The writer does not know its readers. It appends to the newest log file, starts others, publishes manifests, and
//! removes what the newest manifest does not name. So each look is optimistic: read CURRENT, the manifest, the files
//! that are new in it and the log after the last look; then see whether CURRENT still is the same. If it is, all of it
//! is how the database was when the log was read; if not, or if something was missing, look again. What a version names
//! is opened at once: an open file outlives its name.
//!
//! Not a way to change anything, nor to read a version other than the newest.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::buffer::Buffer;

use super::carry::carry_over;
use super::manifest::{self, Stored};
use super::recovery::{check_first, log_files, newest_bound, newest_in_files, open_state};
use super::replay::Replay;
use super::watch::{CurrentWatch, FolderWatch};
use crate::common::{Error, FileId, Result, SeqNo};
use crate::format::layout;
use crate::io::{FileReader, Storage};
use crate::lsm::{Published, State};
use crate::wal::{self, WalTail};

/// Looks that may fail one after another while the writer publishes nothing. The first may have met the log being
/// written or cut to its length, and what the second meets again is there to stay.
const FAILURES_MAX: u32 = 3;
/// How long a writer may go on publishing manifests faster than they can be read.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the last look ended.
#[derive(Debug)]
pub(super) struct Follower {
    stored: Arc<Stored>,
    current: CurrentWatch,
    folder: FolderWatch,
    logs: Vec<FileId>,
    log: Option<(WalTail, Arc<dyn FileReader>)>,
    /// False after a look that failed, which may have left part of the log in the memtables.
    sound: bool,
}

/// What a look found on the disk.
struct Look {
    next: Follower,
    /// The tables as the manifest has them, over what the memtables held before.
    state: Arc<State>,
    /// Records after the last look, with the log file of each.
    records: Vec<(FileId, SeqNo, Buffer)>,
}

/// How a look ended.
enum Outcome {
    Level(Box<(Follower, Published)>),
    /// The writer published a manifest meanwhile.
    Moved,
    /// What is in memory does not lead to what is on the disk.
    Cut,
}

impl Follower {
    /// The first look.
    ///
    /// # Errors
    /// As recovery; `NotFound` when there is no database.
    pub fn open(storage: &Arc<dyn Storage>) -> Result<(Self, Published)> {
        look_until_level(storage, None)
    }

    /// The newest version, if it is newer than `now`. It costs two looks at names and one short read while there is
    /// nothing new.
    ///
    /// # Errors
    /// As recovery.
    pub fn refresh(&mut self, storage: &Arc<dyn Storage>, now: &Published) -> Result<Option<Published>> {
        if self.is_level(&**storage)? {
            return Ok(None);
        }
        let base = self.sound.then_some((&*self, now));
        match look_until_level(storage, base) {
            Ok((next, newer)) => {
                *self = next;
                Ok(Some(newer))
            }
            Err(error) => {
                self.sound = false;
                Err(error)
            }
        }
    }

    /// The live manifest.
    pub fn stored(&self) -> &Arc<Stored> {
        &self.stored
    }

    fn is_level(&self, storage: &dyn Storage) -> Result<bool> {
        Ok(self.sound
            && self.current.is_level(storage)?
            && self.folder.is_level(storage)?
            && self.log.as_ref().map_or(Ok(true), |(tail, file)| ends_at(&**file, tail.end.len))?)
    }
}

/// True when no record follows byte `end` of a log.
fn ends_at(log: &dyn FileReader, end: u64) -> Result<bool> {
    let mut start = [0; 4];
    let held = log.peek(end, &mut start)?;
    Ok(held.is_some_and(|held| !wal::may_start_record(&start[..held])))
}

fn look_until_level(
    storage: &Arc<dyn Storage>,
    mut base: Option<(&Follower, &Published)>,
) -> Result<(Follower, Published)> {
    let started = Instant::now();
    let mut failures = 0;
    while started.elapsed() < PATIENCE {
        match look(storage, base) {
            Ok(Outcome::Level(level)) => return Ok(*level),
            Ok(Outcome::Moved) => failures = 0,
            Ok(Outcome::Cut) => base = None,
            Err(error) => {
                // Part of a look may be in the memtables: they are read anew.
                (base, failures) = (None, failures + 1);
                if failures == FAILURES_MAX || matches!(error, Error::NotFound { .. }) {
                    return Err(error);
                }
            }
        }
    }
    Err(Error::io("follow the writer of", storage.describe(), std::io::ErrorKind::TimedOut.into()))
}

fn look(storage: &Arc<dyn Storage>, base: Option<(&Follower, &Published)>) -> Result<Outcome> {
    let current = CurrentWatch::open(&**storage)?;
    let look = match prepare(storage, base, &current) {
        Err(_) if current.has_moved(&**storage)? => return Ok(Outcome::Moved),
        look => look?,
    };
    let Some(look) = look else { return Ok(Outcome::Cut) };
    if current.has_moved(&**storage)? {
        return Ok(Outcome::Moved);
    }
    let published = add_records(&look, base)?;
    Ok(Outcome::Level(Box::new((look.next, published))))
}

/// Reads what is new and changes nothing in memory; `None` when it does not go on from `base`.
fn prepare(
    storage: &Arc<dyn Storage>,
    base: Option<(&Follower, &Published)>,
    current: &CurrentWatch,
) -> Result<Option<Look>> {
    let stored = match base {
        Some((base, _)) if base.stored.hash == current.hash()? => Arc::clone(&base.stored),
        _ => Arc::new(manifest::load_named(&**storage, current.file())?),
    };
    let state = match base {
        Some((base, _)) if base.stored.database != stored.database => return Err(other_database(&**storage)),
        Some((base, now)) if base.stored.hash == stored.hash => Some(Arc::clone(&now.state)),
        Some((_, now)) => carry_over(storage, &stored, &now.state)?.map(Arc::new),
        None => Some(Arc::new(open_state(storage, stored.database, &stored.manifest)?)),
    };
    let Some(state) = state else { return Ok(None) };
    open_everything(&state);
    let mut folder = FolderWatch::look(&**storage, base.map(|(base, _)| &base.folder))?;
    let logs = match base {
        Some((base, _)) if base.stored.hash == stored.hash && folder.is_settled() => base.logs.clone(),
        _ => {
            let asked = Instant::now();
            let logs = log_files(&**storage, &stored.manifest)?;
            folder.listed_at(asked);
            logs
        }
    };
    let next = Follower { stored, current: current.clone(), folder, logs, log: None, sound: true };
    read_log(storage, base.and_then(|(base, _)| base.log.as_ref()), next, state)
}

/// Reads the log after `from`.
fn read_log(
    storage: &Arc<dyn Storage>,
    from: Option<&(WalTail, Arc<dyn FileReader>)>,
    mut next: Follower,
    state: Arc<State>,
) -> Result<Option<Look>> {
    let (database, manifest) = (next.stored.database, &next.stored.manifest);
    check_first(&**storage, database, manifest, &next.logs)?;
    let bound = newest_bound(manifest, &next.logs)?;
    let from = from.map(|(tail, _)| tail).filter(|tail| next.logs.contains(&tail.end.file));
    let start = from.map_or(0, |tail| next.logs.partition_point(|file| *file < tail.end.file));
    let logs = &next.logs[start..];
    if let (Some(from), Some(successor)) = (from, logs.get(1))
        && !wal::goes_on_from(&**storage, *successor, from, database)?
    {
        return Ok(None);
    }
    let mut records = Vec::new();
    let mut keep = |file, seq, payload| {
        records.push((file, seq, payload));
        Ok(())
    };
    let tail = wal::follow_chain(&**storage, logs, database, bound, from, &mut keep)?;
    next.log = match tail {
        Some(tail) => Some((tail, storage.open(&layout::wal(tail.end.file))?)),
        None => None,
    };
    Ok(Some(Look { next, state, records }))
}

/// Gets hold of all files before the writer may remove them. One that is damaged is for its readers to report.
pub(super) fn open_everything(state: &State) {
    for file in state.tables.values().flat_map(|table| table.files.iter()) {
        let _ = file.reader().map(|_| ()).and_then(|()| file.deletes().map(|_| ()));
        file.blobs().iter().for_each(|blob| drop(blob.open()));
    }
}

fn add_records(look: &Look, base: Option<(&Follower, &Published)>) -> Result<Published> {
    let flushed = look.next.stored.manifest.flushed_seq;
    let known = base.map_or(flushed, |(_, now)| now.seq().max(flushed));
    let newest_file = newest_in_files(&look.state);
    let mut replay = Replay::new(State::clone(&look.state), known);
    let mut file = base.and_then(|(base, _)| base.log.as_ref()).map(|(tail, _)| tail.end.file);
    for (of, seq, payload) in &look.records {
        if file.is_some_and(|file| file != *of) {
            replay.freeze();
        }
        file = Some(*of);
        replay.commit(*seq, payload)?;
    }
    replay.shadow_before(SeqNo(u64::MAX))?;
    let seq = replay.seq.max(newest_file).max(look.next.stored.manifest.as_of);
    Ok(Published::new(Arc::new(replay.state), seq))
}

fn other_database(storage: &dyn Storage) -> Error {
    Error::invalid(
        format!("database {:?}", storage.describe()),
        "another database was put in its place while it was open; open it again",
    )
}

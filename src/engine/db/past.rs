//! The database as of an earlier commit: the manifest of that time, and the log from there up to the commit.

use std::ops::Range;
use std::sync::Arc;

use arrow::buffer::Buffer;

use super::core::Core;
use super::follow::open_everything;
use super::history::{Kept, Retained};
use super::manifest::{self, Manifest};
use super::recovery::{logs_from, open_state_over};
use super::replay::Replay;
use super::snapshot::Snapshot;
use crate::common::{CommitTimes, Error, FileId, Result, SeqNo};
use crate::format::commit::time_of;
use crate::format::layout;
use crate::lsm::{Published, State, TableFile};
use crate::wal::{self, ReplayBound, WalEnd};

/// Looks of a reader whose writer forgets versions meanwhile.
const LOOKS_MAX: u32 = 3;

/// A version that can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Version {
    /// Its number: that of the last commit it sees.
    pub seq: SeqNo,
    /// When that was committed, in milliseconds since 1970 UTC; 0 for the empty database.
    pub millis: i64,
}

/// What serves a version.
pub(super) enum Source {
    /// The live tables.
    Live(Arc<State>),
    /// A kept manifest, where the log ends, and what is open of its files.
    Kept {
        entry: Retained,
        /// One past the newest version that it serves.
        end: SeqNo,
        sealed: Option<WalEnd>,
        kept: Option<Kept>,
    },
}

impl Core {
    /// Every table as of commit `version`.
    pub fn at(&self, version: SeqNo) -> Result<Snapshot> {
        let now = self.newest()?;
        let newest = now.seq();
        if version > newest {
            let name = format!("{version} (the newest is {newest})");
            return Err(Error::NotFound { entity: "version", name });
        }
        if version == newest {
            return Ok(Snapshot::new(Arc::new(Published::new(Arc::clone(&now.state), version))));
        }
        self.looking(|| self.read_at(version)).map(|published| Snapshot::new(Arc::new(published)))
    }

    /// The newest version that was committed at or before `millis`.
    pub fn version_at(&self, millis: i64) -> Result<SeqNo> {
        let now = self.newest()?;
        if millis > now.state.clock.now() {
            let why = "it lies in the future; what the newest version will be then is not known yet";
            return Err(Error::invalid(format!("the moment {millis} ms after 1970"), why));
        }
        let found = self.looking(|| self.find_time(millis))?;
        Ok(found.min(now.seq()))
    }

    /// The versions that can be read, oldest first, each with its time.
    pub fn versions(&self) -> Result<Vec<Version>> {
        let now = self.newest()?;
        let (ranges, times) = self.looking(|| self.known_times())?;
        let last = now.seq().next();
        let seqs = ranges.iter().flat_map(|range| range.start.0..range.end.min(last).0).map(SeqNo);
        let live = &now.state.times;
        let time = |seq| times.of(seq).or_else(|| live.of(seq)).unwrap_or_default();
        Ok(seqs.map(|seq| Version { seq, millis: time(seq) }).collect())
    }

    fn newest(&self) -> Result<Arc<Published>> {
        self.check_open()?;
        self.refresh()?;
        Ok(self.published.load_full())
    }

    /// Looks again when a file that a look needs was let go of meanwhile.
    pub(super) fn looking<T>(&self, look: impl Fn() -> Result<T>) -> Result<T> {
        let mut looks = 1;
        loop {
            match look() {
                Err(Error::Io { source, .. })
                    if source.kind() == std::io::ErrorKind::NotFound && looks < LOOKS_MAX => {}
                found => return found,
            }
            self.refresh()?;
            looks += 1;
        }
    }

    pub(super) fn read_at(&self, version: SeqNo) -> Result<Published> {
        let source = self.source_of(version)?;
        Ok(self.open_source(source, version)?.0)
    }

    pub(super) fn source_of(&self, version: SeqNo) -> Result<Source> {
        let live = self.maintenance.lock();
        Ok(match live.manifest.serving(version)? {
            None => Source::Live(Arc::clone(&self.published.load_full().state)),
            Some(entry) => {
                let kept = live.history.get(entry.number).cloned();
                let end = live.manifest.end_of(entry);
                Source::Kept { entry: entry.clone(), end, sealed: live.manifest.wal_sealed, kept }
            }
        })
    }

    /// The tables as of `version`, which `source` serves, and how far they go beyond it. For the version after the last
    /// one that it serves, they may end before it.
    pub(super) fn open_source(&self, source: Source, version: SeqNo) -> Result<(Published, SeqNo)> {
        let (entry, sealed, kept) = match source {
            Source::Live(state) => return Ok((Published::new(state, version), version)),
            Source::Kept { entry, sealed, kept, .. } => (entry, sealed, kept),
        };
        if let Some(held) = kept.as_ref().and_then(|kept| kept.held.clone()) {
            return Ok((Published::new(held.state, version), held.seq));
        }
        let manifest = manifest::load_retained(&*self.storage, self.database, &entry)?;
        let files = kept.map_or_else(Vec::new, |kept| kept.files);
        let whole = version.min(SeqNo(entry.until.0.saturating_sub(1)));
        self.rebuild(&manifest, files, sealed, version, whole)
    }

    /// The manifest that serves `version`, and the tables as of it, which nobody else writes to.
    pub(super) fn rebuilt(&self, version: SeqNo) -> Result<(Manifest, Published)> {
        if !self.storage.is_durable() {
            let why = "it has no log to read a past version from; branch off the newest one";
            return Err(Error::invalid(self.storage.describe(), why));
        }
        let (manifest, files, sealed) = {
            let live = self.maintenance.lock();
            let sealed = live.manifest.wal_sealed;
            match live.manifest.serving(version)? {
                None => (live.manifest.clone(), Vec::new(), sealed),
                Some(entry) => {
                    let files =
                        live.history.get(entry.number).map_or_else(Vec::new, |kept| kept.files.clone());
                    (manifest::load_retained(&*self.storage, self.database, entry)?, files, sealed)
                }
            }
        };
        let (published, _) = self.rebuild(&manifest, files, sealed, version, version)?;
        Ok((manifest, published))
    }

    /// The tables of `manifest` with the log up to `version`, which must hold every commit up to `whole`; and the last
    /// commit found there.
    fn rebuild(
        &self,
        manifest: &Manifest,
        mut files: Vec<Arc<TableFile>>,
        sealed: Option<WalEnd>,
        version: SeqNo,
        whole: SeqNo,
    ) -> Result<(Published, SeqNo)> {
        let now = self.published.load_full();
        files.extend(now.state.tables.values().flat_map(|table| table.files.iter().map(Arc::clone)));
        let state = open_state_over(&self.storage, self.database, manifest, &files)?;
        let state = State { clock: Arc::clone(&now.state.clock), ..state };
        open_everything(&state);
        require_files(&state)?;
        let mut replay = Replay::new(state, manifest.flushed_seq);
        let mut last = manifest.as_of;
        if version > manifest.flushed_seq {
            self.read_log_until(manifest.wal_start, sealed, version, &mut |seq, payload| {
                last = last.max(seq);
                replay.commit(seq, payload)
            })?;
            check_whole(last, whole)?;
        }
        replay.shadow_before(version.next())?;
        Ok((Published::new(Arc::new(replay.state), version), last))
    }

    /// Hands the commits that the log holds from file `start` on to `visit`, those up to `version`.
    pub(super) fn read_log_until(
        &self,
        start: Option<FileId>,
        sealed: Option<WalEnd>,
        version: SeqNo,
        visit: &mut dyn FnMut(SeqNo, &Buffer) -> Result<()>,
    ) -> Result<()> {
        if let Some(wal) = self.writer.lock().wal.as_mut() {
            wal.flush()?;
        }
        let files = logs_from(&*self.storage, start.unwrap_or_default())?;
        let bound = match sealed.filter(|sealed| files.last() == Some(&sealed.file)) {
            Some(sealed) => ReplayBound::Exact(sealed),
            None => ReplayBound::Open,
        };
        let mut passed = false;
        let mut visit = |seq: SeqNo, payload: Buffer| {
            passed = seq > version;
            // The rest of the log is not wanted.
            if passed {
                Err(Error::Internal("the log was read far enough".into()))
            } else {
                visit(seq, &payload)
            }
        };
        let read = wal::replay_chain(&*self.storage, &files, self.database, bound, &mut visit);
        if passed { Ok(()) } else { read.map(|_| ()) }
    }

    fn find_time(&self, millis: i64) -> Result<SeqNo> {
        let (live, sealed) = {
            let live = self.maintenance.lock();
            (live.manifest.clone(), live.manifest.wal_sealed)
        };
        if millis >= live.as_of_ms {
            let newest = self.published.load().state.times.newest_at(millis);
            return Ok(newest.unwrap_or(live.as_of).max(live.as_of));
        }
        let gone = || live.not_kept(format!("at the moment {millis} ms after 1970"));
        let entry = live.history.iter().rev().find(|entry| entry.as_of_ms <= millis).ok_or_else(gone)?;
        if millis >= entry.until_ms {
            return Err(gone());
        }
        let times = self.times_of(&live, entry, sealed)?;
        let found = times.newest_at(millis).unwrap_or(entry.as_of).max(entry.as_of);
        if found < live.end_of(entry) { Ok(found) } else { Err(gone()) }
    }

    /// Times of the commits that a kept manifest serves.
    fn times_of(&self, live: &Manifest, entry: &Retained, sealed: Option<WalEnd>) -> Result<CommitTimes> {
        if let Some(held) =
            self.maintenance.lock().history.get(entry.number).and_then(|kept| kept.held.clone())
        {
            return Ok(held.state.times.copy());
        }
        let times = CommitTimes::default();
        times.note(entry.as_of, entry.as_of_ms);
        if live.has_log(entry) {
            let last = SeqNo(entry.until.0.saturating_sub(1));
            self.read_log_until(entry.wal_start, sealed, last, &mut |seq, payload| {
                time_of(payload)?.inspect(|millis| times.note(seq, *millis));
                Ok(())
            })?;
        }
        Ok(times)
    }

    /// The ranges of versions that are kept, and the times of those that the live tables do not know.
    fn known_times(&self) -> Result<(Vec<Range<SeqNo>>, CommitTimes)> {
        let live = self.maintenance.lock().manifest.clone();
        let times = CommitTimes::default();
        for entry in &live.history {
            let own = self.times_of(&live, entry, live.wal_sealed)?;
            for seq in (entry.as_of.0..live.end_of(entry).0).map(SeqNo) {
                own.of(seq).inspect(|millis| times.note(seq, *millis));
            }
        }
        Ok((live.kept_versions(), times))
    }
}

/// Between two manifests every version is a commit of the log: a log that ends before it was cut.
fn check_whole(last: SeqNo, version: SeqNo) -> Result<()> {
    if last >= version {
        return Ok(());
    }
    let what = format!("it ends with commit {last}, and commit {version} had been in it");
    Err(Error::corrupt(layout::WAL_DIR, 0, what))
}

/// Fails when a file was let go of before it was open. What is damaged is for its readers to report.
fn require_files(state: &State) -> Result<()> {
    for file in state.tables.values().flat_map(|table| table.files.iter()) {
        for outcome in [file.reader().map(|_| ()), file.deletes().map(|_| ())] {
            if let Err(error @ Error::Io { .. }) = outcome {
                return Err(error);
            }
        }
    }
    Ok(())
}

//! The database as of an earlier commit: the manifest of that time, and the log from there up to the commit.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow::buffer::Buffer;

use super::core::{Core, Live};
use super::follow::open_everything;
use super::history::{Retained, Tag};
use super::manifest::{self, Manifest};
use super::recovery::{log_files, open_state_over};
use super::replay::Replay;
use super::snapshot::Snapshot;
use crate::common::{Error, Result, Retention, SeqNo};
use crate::format::table::validate_name;
use crate::lsm::Published;
use crate::wal::{self, ReplayBound};

/// Looks of a reader whose writer forgets versions meanwhile.
const LOOKS_MAX: u32 = 3;

impl Core {
    /// Every table as of commit `version`.
    pub fn at(&self, version: SeqNo) -> Result<Snapshot> {
        let mut looks = 0;
        loop {
            self.check_open()?;
            let now = self.snapshot()?;
            if version > now.seq() {
                let name = format!("{version} (the newest is {})", now.seq());
                return Err(Error::NotFound { entity: "version", name });
            }
            if version == now.seq() {
                return Ok(now);
            }
            looks += 1;
            match self.read_past(&self.maintenance.lock(), version) {
                Err(Error::Io { .. } | Error::Corrupt { .. })
                    if self.options.read_only && looks < LOOKS_MAX => {}
                past => return past.map(|published| Snapshot::new(Arc::new(published))),
            }
        }
    }

    /// The caller's lock keeps everything in its place while it is read.
    fn read_past(&self, live: &Live, version: SeqNo) -> Result<Published> {
        let kept = live.manifest.serving(version)?;
        let manifest = match kept {
            None => live.manifest.clone(),
            Some(kept) => manifest::load_retained(&*self.storage, self.database, kept)?,
        };
        let known = self.published.load_full();
        let mut files: Vec<_> = live.history.files(manifest.number).to_vec();
        files.extend(known.state.tables.values().flat_map(|table| table.files.iter().map(Arc::clone)));
        let state = open_state_over(&self.storage, self.database, &manifest, &files)?;
        open_everything(&state);
        let mut replay = Replay::new(state, manifest.flushed_seq);
        if version > manifest.flushed_seq {
            self.replay_until(&live.manifest, &manifest, version, &mut replay)?;
        }
        replay.shadow_before(SeqNo(u64::MAX))?;
        Ok(Published { state: Arc::new(replay.state), seq: version })
    }

    fn replay_until(
        &self,
        live: &Manifest,
        manifest: &Manifest,
        version: SeqNo,
        replay: &mut Replay,
    ) -> Result<()> {
        if let Some(wal) = self.writer.lock().wal.as_mut() {
            wal.flush()?;
        }
        let files = log_files(&*self.storage, manifest)?;
        let bound = match live.wal_sealed.filter(|sealed| files.last() == Some(&sealed.file)) {
            Some(sealed) => ReplayBound::Exact(sealed),
            None => ReplayBound::Open,
        };
        let mut passed = false;
        let mut visit = |seq: SeqNo, payload: Buffer| {
            passed = seq > version;
            // The rest of the log is not wanted; it is not an error.
            if passed {
                Err(Error::Internal("the log was read far enough".into()))
            } else {
                replay.commit(seq, &payload)
            }
        };
        let read = wal::replay_chain(&*self.storage, &files, self.database, bound, &mut visit);
        if passed { Ok(()) } else { read.map(|_| ()) }
    }

    /// Names the newest commit, which from then on can be read until the name is dropped.
    pub fn create_tag(&self, name: &str) -> Result<SeqNo> {
        self.check_writable()?;
        validate_name("tag", name)?;
        let mut live = self.maintenance.lock();
        if live.manifest.tags.iter().any(|tag| tag.name == name) {
            return Err(Error::AlreadyExists { entity: "tag".into(), name: format!("{name:?}") });
        }
        let mut writer = self.writer.lock();
        // A version that lies in files alone needs no log to be kept.
        self.flush_all(&mut live, &mut writer)?;
        let version = writer.seq;
        self.edit_manifest(&mut live, |manifest| {
            manifest.flushed_seq = manifest.flushed_seq.max(version);
            manifest.as_of = version;
            manifest.tags.push(Tag { name: name.to_owned(), version, time_ms: manifest.time_ms });
            Ok(())
        })?;
        Ok(version)
    }

    /// Takes a name away; what it alone kept leaves the disk.
    pub fn drop_tag(&self, name: &str) -> Result<()> {
        self.check_writable()?;
        let mut live = self.maintenance.lock();
        if live.manifest.tags.iter().all(|tag| tag.name != name) {
            return Err(Error::NotFound { entity: "tag", name: name.to_owned() });
        }
        self.edit_manifest(&mut live, |manifest| {
            manifest.tags.retain(|tag| tag.name != name);
            Ok(())
        })
    }

    /// The tags, oldest version first.
    pub fn tags(&self) -> Result<Vec<Tag>> {
        self.check_open()?;
        self.refresh()?;
        let mut tags = self.maintenance.lock().manifest.tags.clone();
        tags.sort_by(|a, b| (a.version, &a.name).cmp(&(b.version, &b.name)));
        Ok(tags)
    }

    /// Changes which versions are kept beside the tagged ones.
    pub fn set_retention(&self, retention: Retention) -> Result<()> {
        self.check_writable()?;
        let mut live = self.maintenance.lock();
        self.edit_manifest(&mut live, |manifest| {
            manifest.retention = retention;
            Ok(())
        })
    }
}

impl Live {
    /// The live manifest as one that is kept; its successor says until when it served.
    pub fn retained(&self) -> Option<Retained> {
        let Manifest { number, as_of, flushed_seq: flushed, wal_start, time_ms, .. } = self.manifest;
        let hash = self.hash?;
        Some(Retained { number, hash, as_of, until: as_of, flushed, wal_start, until_ms: time_ms })
    }
}

/// Milliseconds since 1970, never before `last`.
pub(super) fn time_after(last: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    u64::try_from(now).unwrap_or(u64::MAX).max(last)
}

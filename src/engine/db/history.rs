//! Past versions: which manifests, files and logs stay on the disk so that the database can be read as it was.
//!
//! The version of a database is the sequence number of its newest commit. A manifest serves the versions from its own
//! `as_of` to the next one's: its files, and the log from its start up to the version. The live manifest lists the
//! manifests that are kept; what they name is held here as handles, so that a file leaves the disk when neither the
//! live manifest, nor a kept one, nor a snapshot holds it.
//!
//! No decision of correctness is made by the clock: it only says what may be forgotten.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::manifest::{self, Manifest, Stored};
use super::recovery::open_files;
use crate::common::{DatabaseId, Error, FileId, Result, Retention, SeqNo};
use crate::format::{Hash128, layout};
use crate::io::Storage;
use crate::lsm::{State, TableFile};

/// A name for a version, which is kept as long as the name is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Tag {
    /// Its name.
    pub name: String,
    /// The last commit that the version sees.
    pub version: SeqNo,
    /// When it was made, in milliseconds since 1970.
    pub time_ms: u64,
}

/// A manifest that was superseded and is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Retained {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: Hash128,
    /// The first version that it serves: the newest commit when it was published.
    pub as_of: SeqNo,
    /// The first version that it no longer serves, because its successor does.
    pub until: SeqNo,
    /// The newest commit that it needs no log for.
    pub flushed: SeqNo,
    /// The first log file after its own files.
    pub wal_start: Option<FileId>,
    /// When it was superseded, in milliseconds since 1970.
    pub until_ms: u64,
}

/// What kept manifests hold on the disk.
#[derive(Debug, Default)]
pub(super) struct History {
    kept: BTreeMap<u64, Kept>,
}

#[derive(Debug)]
struct Kept {
    files: Vec<Arc<TableFile>>,
    deletes: Vec<FileId>,
}

impl Manifest {
    /// Lists `before`, which this manifest supersedes, among those that are kept, and strikes out what nobody wants
    /// any more. Returns the numbers of those.
    pub(super) fn remember(&mut self, before: Retained) -> Vec<u64> {
        let mut listed = std::mem::take(&mut self.history);
        listed.push(Retained { until: self.as_of, until_ms: self.time_ms, ..before });
        let (kept, forgotten): (Vec<_>, Vec<_>) = listed.into_iter().partition(|entry| self.wants(entry));
        self.history = kept;
        forgotten.into_iter().map(|entry| entry.number).collect()
    }

    fn wants(&self, entry: &Retained) -> bool {
        let serves = |tag: &Tag| (entry.as_of..entry.until).contains(&tag.version);
        entry.as_of < entry.until && (self.tags.iter().any(serves) || self.in_horizon(entry))
    }

    /// True when `entry` serves a version that the retention covers.
    fn in_horizon(&self, entry: &Retained) -> bool {
        let Retention { versions, seconds } = self.retention;
        let since = self.time_ms.saturating_sub(seconds.saturating_mul(1000));
        let is_recent = entry.until.0.saturating_add(versions) > self.as_of.0;
        (versions > 0 && is_recent) || (seconds > 0 && entry.until_ms >= since)
    }

    /// The oldest log file that the live or a kept manifest needs.
    pub(super) fn oldest_log(&self) -> FileId {
        let kept = self.history.iter().filter(|entry| self.in_horizon(entry)).map(|entry| entry.wal_start);
        kept.chain([self.wal_start]).map(Option::unwrap_or_default).min().unwrap_or_default()
    }

    /// The kept manifest that serves `version`; `None` for the live one.
    ///
    /// # Errors
    /// `NotFound` when the version is not kept.
    pub(super) fn serving(&self, version: SeqNo) -> Result<Option<&Retained>> {
        let gone =
            || Error::NotFound { entity: "version", name: format!("{version} (it is no longer kept)") };
        if version >= self.as_of {
            return Ok(None);
        }
        let mut serving = self.history.iter().filter(|entry| (entry.as_of..entry.until).contains(&version));
        let entry = serving.next().ok_or_else(gone)?;
        // Beside the horizon, the log is not kept.
        if version > entry.flushed && !self.in_horizon(entry) { Err(gone()) } else { Ok(Some(entry)) }
    }
}

impl History {
    /// What the manifests that `live` keeps hold, as its opening finds it.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn open(storage: &Arc<dyn Storage>, live: &Stored, state: &State) -> Result<Self> {
        let mut history = Self::default();
        let mut known: Vec<Arc<TableFile>> =
            state.tables.values().flat_map(|table| table.files.iter().map(Arc::clone)).collect();
        for entry in &live.manifest.history {
            let manifest = manifest::load_retained(&**storage, live.database, entry)?;
            let files = history.open_kept(storage, live.database, &manifest, &known)?;
            for file in files.iter().filter(|file| known.iter().all(|known| known.id() != file.id())) {
                // Only kept versions name it.
                file.retire();
            }
            known.extend(files);
        }
        Ok(history)
    }

    fn open_kept(
        &mut self,
        storage: &Arc<dyn Storage>,
        database: DatabaseId,
        manifest: &Manifest,
        known: &[Arc<TableFile>],
    ) -> Result<Vec<Arc<TableFile>>> {
        let mut files = Vec::new();
        for record in &manifest.tables {
            files.extend(open_files(storage, database, manifest, record, known)?);
        }
        let deletes = manifest.deletes.iter().map(|info| info.file).collect();
        self.kept.insert(manifest.number, Kept { files: files.clone(), deletes });
        Ok(files)
    }

    /// Keeps what `manifest` names, whose files `state` has open.
    pub fn keep(&mut self, manifest: &Manifest, state: &State) {
        let files = state.tables.values().flat_map(|table| table.files.iter());
        // Without the bitmaps in memory, which are read again when the version is.
        let plain = |file: &Arc<TableFile>| {
            Arc::new(file.with_stored_deletes(file.stored_deletes().copied(), file.dead_rows()))
        };
        let deletes = manifest.deletes.iter().map(|info| info.file).collect();
        self.kept.insert(manifest.number, Kept { files: files.map(plain).collect(), deletes });
    }

    /// Lets a manifest go, and returns the bitmap files that it alone named.
    pub fn forget(&mut self, number: u64, live: &Manifest) -> Vec<FileId> {
        let Some(gone) = self.kept.remove(&number) else { return Vec::new() };
        let unused = |file: &FileId| !self.needs(*file) && live.deletes.iter().all(|info| info.file != *file);
        gone.deletes.into_iter().filter(unused).collect()
    }

    /// True when a kept manifest names this bitmap file.
    pub fn needs(&self, deletes: FileId) -> bool {
        self.kept.values().any(|kept| kept.deletes.contains(&deletes))
    }

    /// The open files of a kept manifest.
    pub fn files(&self, number: u64) -> &[Arc<TableFile>] {
        self.kept.get(&number).map_or(&[], |kept| &kept.files)
    }

    /// Paths of everything that kept manifests name.
    pub fn paths(&self) -> Vec<String> {
        let files = self.kept.values().flat_map(|kept| &kept.files);
        let mut paths: Vec<String> =
            files.flat_map(|file| [layout::sst(file.id()), layout::sum(file.id())]).collect();
        paths.extend(self.kept.values().flat_map(|kept| &kept.deletes).map(|file| layout::del(*file)));
        paths
    }

    /// Leaves every file where it is: the engine ends, the versions do not.
    pub fn close(&mut self) {
        self.kept.values().flat_map(|kept| &kept.files).for_each(|file| file.keep());
        self.kept.clear();
    }
}

//! Past versions on the disk: the manifests that are kept, and what they name, held as handles.
//!
//! A file leaves the disk when neither the live manifest, nor a kept one, nor a snapshot holds it. Which manifests are
//! kept is decided in `serving`; here is only the bookkeeping that follows from it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::manifest::{self, Manifest, Stored};
use super::recovery::open_files;
use crate::common::{DatabaseId, FileId, Result, SeqNo};
use crate::format::Hash128;
use crate::io::Storage;
use crate::lsm::{Published, Retired, State, TableFile};

/// A name for a version, which is kept as long as the name is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Tag {
    /// Its name.
    pub name: String,
    /// The last commit that the version sees.
    pub version: SeqNo,
    /// When it was made, in milliseconds since 1970 UTC.
    pub created_ms: i64,
}

/// A manifest that was superseded and is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Retained {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: Hash128,
    /// The oldest version that it serves.
    pub as_of: SeqNo,
    /// When that was committed, in milliseconds since 1970 UTC.
    pub as_of_ms: i64,
    /// The oldest version that its successor serves.
    pub until: SeqNo,
    /// When that was committed.
    pub until_ms: i64,
    /// The newest commit that it needs no log for.
    pub flushed: SeqNo,
    /// The first log file after its own files.
    pub wal_start: Option<FileId>,
    /// False once the log went: no retention brings it back.
    pub logged: bool,
}

/// What kept manifests hold.
#[derive(Debug, Default)]
pub(super) struct History {
    kept: BTreeMap<u64, Kept>,
}

/// What one of them holds.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub files: Vec<Arc<TableFile>>,
    deletes: Vec<FileId>,
    /// Of a database without a log: the tables themselves.
    pub held: Option<Held>,
}

/// Tables, and the last commit in their memtables.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub state: Arc<State>,
    pub seq: SeqNo,
}

impl History {
    /// What the manifests that `live` keeps hold, as its opening finds it, and those files of theirs that the live one
    /// does not name. A manifest that cannot be read keeps nothing: who asks for its versions is told.
    pub fn open(storage: &Arc<dyn Storage>, live: &Stored, state: &State) -> (Self, Vec<Retired>) {
        let (mut history, mut retired) = (Self::default(), Vec::new());
        let live_files: Vec<Arc<TableFile>> = all_files(state).map(Arc::clone).collect();
        let mut known = live_files.clone();
        for entry in &live.manifest.history {
            let opened = manifest::load_retained(&**storage, live.database, entry)
                .and_then(|manifest| history.open_kept(storage, live.database, &manifest, &known));
            for file in opened.into_iter().flatten() {
                if known.iter().all(|known| known.id() != file.id()) {
                    // Only kept versions name it.
                    retired.push(file.retire());
                    retired.extend(file.retire_blobs(&live_files));
                    known.push(file);
                }
            }
        }
        (history, retired)
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
        self.put(manifest, files.clone(), None);
        Ok(files)
    }

    /// Keeps what `manifest` names, whose files `now` has open; without a log also its memtables.
    pub fn keep(&mut self, manifest: &Manifest, now: &Published, has_log: bool) {
        // Without the bitmaps in memory, which are read again when the version is.
        let plain = |file: &Arc<TableFile>| {
            Arc::new(file.with_stored_deletes(file.stored_deletes().copied(), file.dead_rows()))
        };
        let files = all_files(&now.state).map(plain).collect();
        self.put(manifest, files, (!has_log).then(|| with_own_times(now)));
    }

    fn put(&mut self, manifest: &Manifest, files: Vec<Arc<TableFile>>, held: Option<Held>) {
        let deletes = manifest.deletes.iter().map(|info| info.file).collect();
        self.kept.insert(manifest.number, Kept { files, deletes, held });
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

    /// What a kept manifest holds.
    pub fn get(&self, number: u64) -> Option<&Kept> {
        self.kept.get(&number)
    }

    /// Leaves every file where it is: the engine ends, the versions do not.
    pub fn close(&mut self) {
        self.kept.values().flat_map(|kept| &kept.files).for_each(|file| file.keep());
        self.kept.clear();
    }
}

impl Drop for History {
    fn drop(&mut self) {
        // Who lets go of all at once does not mean to forget: an opening that failed, an engine that ends.
        self.close();
    }
}

/// Paths of everything that the manifests which `live` keeps name.
///
/// # Errors
/// When one of them cannot be read: then nothing tells what it needs.
pub(super) fn kept_paths(
    storage: &dyn Storage,
    database: DatabaseId,
    live: &Manifest,
) -> Result<Vec<String>> {
    let mut paths = Vec::new();
    for entry in &live.history {
        paths.extend(manifest::load_retained(storage, database, entry)?.paths());
    }
    Ok(paths)
}

fn all_files(state: &State) -> impl Iterator<Item = &Arc<TableFile>> {
    state.tables.values().flat_map(|table| table.files.iter())
}

/// The live state goes on to forget when its commits were made.
fn with_own_times(now: &Published) -> Held {
    let times = Arc::new(now.state.times.copy());
    Held { state: Arc::new(State { times, ..State::clone(&now.state) }), seq: now.seq() }
}

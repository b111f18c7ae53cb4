//! Past versions: reading them, what keeps them, what changed between them, and branches off them.

use std::path::Path;
use std::sync::Arc;

use arrow::array::ArrayRef;

use super::Engine;
use crate::common::{Error, Result, Retention, SeqNo};
use crate::db::backup::{BackupReport, ExportReport, OnProgress, local_target};
use crate::db::changes::{Change, Changes};
use crate::db::history::Tag;
use crate::db::past::Version;
use crate::db::snapshot::Snapshot;
use crate::format::table::{OptionTexts, TableName};
use crate::io::{FileWriter, Reopen, Storage};

impl Engine {
    /// Every table as of commit `version`, for as long as the snapshot is held. Readable are the newest version, those
    /// that the retention covers, and those that a tag names; others only as long as they happen to be there. Older ones
    /// cost the reading of one manifest and of the log from there, at most one memtable of it. Rows that have expired
    /// meanwhile stay hidden.
    ///
    /// # Errors
    /// `NotFound` when the version is not kept, or not there yet; `Closed`, `Corrupt`, `Io`.
    pub fn at(&self, version: SeqNo) -> Result<Snapshot> {
        self.core.at(version)
    }

    /// The newest version that was committed at or before `millis`, in milliseconds since 1970 UTC.
    ///
    /// # Errors
    /// `NotFound` when no version of that time is kept; `Invalid` for a moment that lies in the future; `Closed`, `Io`.
    pub fn version_at(&self, millis: i64) -> Result<SeqNo> {
        self.core.version_at(millis)
    }

    /// The version that a tag names.
    ///
    /// # Errors
    /// `NotFound`; as [`Engine::tags`].
    pub fn version_of_tag(&self, name: &str) -> Result<SeqNo> {
        let found = self.tags()?.into_iter().find(|tag| tag.name == name);
        found.map(|tag| tag.version).ok_or_else(|| Error::NotFound { entity: "tag", name: name.to_owned() })
    }

    /// The versions that can be read, oldest first. Reads the log that is kept.
    ///
    /// # Errors
    /// `Closed`, `Corrupt`, `Io`.
    pub fn versions(&self) -> Result<Vec<Version>> {
        self.core.versions()
    }

    /// What the versions `from` to `to`, both included, did to the rows of a table, in the columns that it has at `to`.
    /// The changes of versions that are no longer kept come together, as those of the next one that is.
    ///
    /// # Errors
    /// `NotFound` when the table is not there at `to`, or version `to` or the one before `from` is not kept; `Invalid`
    /// for versions the wrong way round.
    pub fn changes(&self, table: &TableName, from: SeqNo, to: SeqNo) -> Result<Changes> {
        self.core.changes(table, from, to)
    }

    /// What happened to the row of a key over all versions that are kept, oldest first; the first entry is the row as
    /// the oldest of them has it, if it was there. `key` holds one array of length 1 per key column.
    ///
    /// # Errors
    /// As [`TableView::get`](crate::TableView::get); `NotFound` for the table.
    pub fn history(&self, table: &TableName, key: &[ArrayRef]) -> Result<Vec<Change>> {
        self.core.history(table, key)
    }

    /// Names the newest version and returns it: it can be read until the name is dropped. Flushes.
    ///
    /// # Errors
    /// `AlreadyExists`; `Invalid` for a name that cannot be; `Closed`, `Io`.
    pub fn create_tag(&self, name: &str) -> Result<SeqNo> {
        self.core.create_tag(name)
    }

    /// Takes a name away; what it alone kept leaves the disk.
    ///
    /// # Errors
    /// `NotFound`, `Closed`, `Io`.
    pub fn drop_tag(&self, name: &str) -> Result<()> {
        self.core.drop_tag(name)
    }

    /// The tags, oldest version first.
    ///
    /// # Errors
    /// `Closed`; as [`Engine::snapshot`] for a reader.
    pub fn tags(&self) -> Result<Vec<Tag>> {
        self.core.tags()
    }

    /// Changes which versions are kept beside the tagged ones.
    ///
    /// # Errors
    /// `Closed`, `Io`.
    pub fn set_retention(&self, retention: Retention) -> Result<()> {
        self.core.set_retention(retention)
    }

    /// Changes options of the database by name: `retention`, a length of time such as `7 days`, and
    /// `retention_versions`, a number; `none` ends either. Those not named stay.
    ///
    /// # Errors
    /// `Invalid` for an unknown name or a value that is none; `Closed`, `Io`.
    pub fn set_options(&self, options: &OptionTexts) -> Result<()> {
        self.core.set_options(options)
    }

    /// Which versions are kept beside the tagged ones.
    #[must_use]
    pub fn retention(&self) -> Retention {
        self.core.maintenance.lock().manifest.retention
    }

    /// Makes a branch in the folder `path`: a database of its own that begins as this one is, or was at `version`, and
    /// goes its own way from there. Sealed files are shared as hard links where the file system can, otherwise copied.
    /// Tags and the retention stay behind.
    ///
    /// # Errors
    /// `Invalid` when the folder is not empty; `NotFound` for a version that is not kept; otherwise as
    /// [`Engine::backup`].
    pub fn branch(
        &self,
        path: &Path,
        version: Option<SeqNo>,
        progress: OnProgress<'_>,
    ) -> Result<BackupReport> {
        self.core.check_open()?;
        self.core.branch(local_target(path)?, version, progress)
    }

    /// [`Engine::branch`] into any storage.
    ///
    /// # Errors
    /// As [`Engine::branch`].
    pub fn branch_to(
        &self,
        target: Arc<dyn Storage>,
        version: Option<SeqNo>,
        progress: OnProgress<'_>,
    ) -> Result<BackupReport> {
        self.core.branch(target, version, progress)
    }

    /// Writes this database, as it is or was at `version`, into the single file `path`, while writers go on. The file opens
    /// like a folder does, and is only read. It gets its name when it is whole and durable.
    ///
    /// # Errors
    /// `Invalid` when something is at `path` and is not to be replaced; `NotFound` for a version that is not kept; otherwise
    /// as [`Engine::backup`]. Nothing is at `path` then that was not there before.
    pub fn export(
        &self,
        path: &Path,
        replace: bool,
        version: Option<SeqNo>,
        progress: OnProgress<'_>,
    ) -> Result<ExportReport> {
        self.core.export(path, replace, version, progress)
    }

    /// [`Engine::export`] into any new file, which `reopen` reads.
    ///
    /// # Errors
    /// As [`Engine::export`]; what was written then means nothing.
    pub fn export_to(
        &self,
        sink: Box<dyn FileWriter>,
        reopen: Reopen,
        version: Option<SeqNo>,
        progress: OnProgress<'_>,
    ) -> Result<ExportReport> {
        self.core.export_to(sink, reopen, version, progress)
    }
}

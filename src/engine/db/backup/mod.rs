//! Online backup and restore: one version of a database, copied into a folder that is then a database itself.
//!
//! A backup is taken while the writer runs. Memtables are flushed first, so that a backup is sorted files and one
//! manifest, without a log. Sealed files are linked where the folders share a file system, otherwise copied and
//! verified block by block against the checksums that the manifest pins. CURRENT is swung last: a backup that was cut
//! short is not taken for a database, or is still the one before. A second backup into the same folder reuses
//! what it holds. Restoring is the same with the roles exchanged.

mod capture;
mod copy;
mod export;
mod report;
mod target;

#[cfg(test)]
mod export_tests;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use super::core::Core;
use super::manifest;
use super::orphans::remove_orphans;
use crate::common::{EncryptionKey, Error, Options, Result, SeqNo};
use crate::io::object::address;
use crate::io::{LocalOptions, LocalStorage, Storage, encrypted_like, open_for, unlock};
use capture::Captured;

pub(super) use copy::Copier;
pub use export::ExportReport;
pub use report::{BackupProgress, BackupReport, CopyMode, OnProgress};
pub(super) use target::{Target, check_empty};

impl Core {
    /// Copies the database as of now into `storage`.
    pub(super) fn backup(
        &self,
        storage: Arc<dyn Storage>,
        mode: CopyMode,
        progress: OnProgress<'_>,
    ) -> Result<BackupReport> {
        self.check_open()?;
        let target = Target::open(encrypted_like(&*self.storage, storage)?, self.database)?;
        let outcome = if self.options.read_only {
            from_files(&self.storage, &target, mode, progress)
        } else {
            capture::live(self, &target, mode).and_then(|captured| finish(captured, &target, progress))
        };
        outcome.inspect_err(|_| target.take_back())
    }
}

impl Core {
    /// Makes a database of its own in `storage` of `version`, or of now, whose files are links where that can be.
    pub(super) fn branch(
        &self,
        storage: Arc<dyn Storage>,
        version: Option<SeqNo>,
        progress: OnProgress<'_>,
    ) -> Result<BackupReport> {
        self.check_open()?;
        let storage = encrypted_like(&*self.storage, storage)?;
        check_empty(&*storage)?;
        let newest = self.snapshot()?.seq();
        let Some(version) = version.filter(|version| *version != newest) else {
            return self.backup(storage, CopyMode::Link, progress);
        };
        let target = Target::open(storage, self.database)?;
        let captured = capture::past(self, version, &target, CopyMode::Link);
        captured.and_then(|captured| finish(captured, &target, progress)).inspect_err(|_| target.take_back())
    }
}

/// Copies the database in `source`, which nobody here has open for writing.
///
/// # Errors
/// `Corrupt` for a source that is damaged; otherwise as [`crate::Engine::backup`].
pub fn restore_storage(
    source: &Arc<dyn Storage>,
    target: Arc<dyn Storage>,
    mode: CopyMode,
    progress: OnProgress<'_>,
) -> Result<BackupReport> {
    let stored = manifest::load(&**source)?
        .ok_or_else(|| Error::NotFound { entity: "database", name: source.describe() })?;
    let target = Target::open(encrypted_like(&**source, target)?, stored.database)?;
    from_files(source, &target, mode, progress).inspect_err(|_| target.take_back())
}

/// Makes a database at `path` of the backup, or the single file, at `backup`, which is only read. An encrypted one needs
/// its `key`, and stays encrypted.
///
/// # Errors
/// `Invalid` when something is at `path`; otherwise as [`crate::Engine::backup`].
pub fn restore_path(
    backup: &Path,
    path: &Path,
    key: Option<&EncryptionKey>,
    mode: CopyMode,
    progress: OnProgress<'_>,
) -> Result<BackupReport> {
    let source = unlock(source_at(backup)?, key)?;
    let target = local_target(path)?;
    check_empty(&*target)?;
    restore_storage(&source, target, mode, progress)
}

/// Where a backup, or a database that is repaired, is read from.
pub(super) fn source_at(path: &Path) -> Result<Arc<dyn Storage>> {
    open_for(path, &Options { mmap: false, create: false, read_only: true, ..Options::default() })
}

/// The folder, or place on an object store, that a backup goes to, made when it is missing.
pub(super) fn local_target(path: &Path) -> Result<Arc<dyn Storage>> {
    if address(path).is_some() {
        return open_for(path, &Options::default());
    }
    Ok(Arc::new(LocalStorage::open(path, LocalOptions { mmap: false, ..LocalOptions::default() })?))
}

/// How often a source is looked at again whose writer, another process, removes files meanwhile.
const ATTEMPTS: usize = 20;

fn from_files(
    source: &Arc<dyn Storage>,
    target: &Target,
    mode: CopyMode,
    progress: OnProgress<'_>,
) -> Result<BackupReport> {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let stored = manifest::load(&**source)?
            .ok_or_else(|| Error::NotFound { entity: "database", name: source.describe() })?;
        let number = stored.manifest.number;
        let attempt = capture::at_rest(source, stored, target, mode)
            .and_then(|captured| finish(captured, target, progress));
        let Err(error) = attempt else { return attempt };
        let moved_on = manifest::load(&**source)?.is_some_and(|now| now.manifest.number != number);
        if !moved_on {
            return Err(error);
        }
        last = Some(error);
    }
    Err(last.unwrap_or_else(|| Error::Internal("a backup was never tried".into())))
}

/// Brings the rows of a captured version over and makes it the one that CURRENT names.
fn finish(captured: Captured<'_>, target: &Target, progress: OnProgress<'_>) -> Result<BackupReport> {
    let Captured { mut manifest, mut copier, seq, .. } = captured;
    copier.start(&manifest);
    progress(copier.progress)?;
    let files: Vec<_> = manifest.tables.iter().flat_map(|table| &table.files).map(|file| &file.sst).collect();
    for info in files {
        for used in &info.blobs {
            copier.blob_file(&used.blob, progress)?;
        }
        copier.table_file(info, progress)?;
    }
    copier.sync()?;
    manifest.number = target.next_number(manifest.number)?;
    target.publish(&manifest)?;
    // What earlier backups left that this one does not need.
    remove_orphans(target.storage(), target.database(), &manifest, &|_| false)?;
    target.settle()?;
    Ok(BackupReport { version: manifest.number, seq: seq.0, ..copier.report })
}

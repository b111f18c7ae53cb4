//! `check`: reads every byte of a database and says what is wrong with which file.

use std::collections::HashSet;
use std::sync::Arc;

use super::manifest::{self, Manifest, Stored};
use super::recovery::recover;
use crate::common::{DatabaseId, Error, FileId, Result};
use crate::format::layout;
use crate::io::Storage;
use crate::lsm::{KnownBlobs, TableFile};

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct CheckReport {
    /// Files read.
    pub files: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Rows in files and log, deleted ones included.
    pub rows: u64,
    /// One line per damaged file; empty when all is well.
    pub problems: Vec<String>,
}

/// Reads everything in `storage`; `progress` hears of each file before it is read.
///
/// # Errors
/// Only when the manifest itself cannot be read: other damage is in the report.
pub fn check_storage(storage: &Arc<dyn Storage>, progress: &mut dyn FnMut(&str)) -> Result<CheckReport> {
    progress(layout::CURRENT);
    let stored = manifest::load(&**storage)?
        .ok_or_else(|| Error::NotFound { entity: "database", name: storage.describe() })?;
    let mut report = CheckReport { files: 2, ..CheckReport::default() };
    report.bytes +=
        storage.open(layout::CURRENT)?.len() + storage.open(&layout::manifest(stored.manifest.number))?.len();
    check_log(storage, stored.database, &stored.manifest, progress, &mut report);
    storage.verify().unwrap_or_else(|error| report.problems.push(error.to_string()));
    let mut seen = HashSet::new();
    check_files(storage, &stored, &mut seen, progress, &mut report)?;
    for entry in &stored.manifest.history {
        progress(&layout::manifest(entry.number));
        match manifest::load_retained(&**storage, stored.database, entry) {
            Ok(manifest) => {
                let kept = Stored { manifest, hash: entry.hash, database: stored.database };
                report.files += 1;
                report.bytes += storage.open(&layout::manifest(entry.number))?.len();
                check_files(storage, &kept, &mut seen, progress, &mut report)?;
            }
            Err(error) => report.count(0, 0, Err(error)),
        }
    }
    Ok(report)
}

/// Reads what a manifest names and no other one named before.
fn check_files(
    storage: &Arc<dyn Storage>,
    stored: &Stored,
    seen: &mut HashSet<FileId>,
    progress: &mut dyn FnMut(&str),
    report: &mut CheckReport,
) -> Result<()> {
    let (manifest, mut blobs) = (&stored.manifest, KnownBlobs::default());
    for record in &manifest.tables {
        let def = record.def.clone().derive();
        let key = super::maintenance::key_spec(&def)?;
        for file in &record.files {
            if !seen.insert(file.sst.file) {
                continue;
            }
            progress(&layout::sst(file.sst.file));
            let deletes = file.deletes.and_then(|id| manifest.deletes.iter().find(|info| info.file == id));
            let (storage, sst) = (Arc::clone(storage), file.sst.clone());
            let opened = TableFile::with_stored(
                storage,
                stored.database,
                (sst, key.clone()),
                (deletes.copied(), file.dead),
                &mut blobs,
            );
            for blob in opened.blobs().iter().filter(|blob| seen.insert(blob.info().file)) {
                progress(&blob.info().path());
                report.count(blob.info().len, 0, blob.verify());
            }
            let verified = opened
                .reader()
                .and_then(|reader| reader.verify())
                .and_then(|()| opened.deletes().map(|_| ()));
            let whole = verified.is_ok();
            report.count(opened.bytes(), file.sst.rows, verified);
            if whole {
                opened.check_derived(&def, &mut |path, outcome| {
                    progress(path);
                    report.count_derived(outcome);
                })?;
            }
        }
    }
    for info in manifest.deletes.iter().filter(|info| seen.insert(info.file)) {
        progress(&layout::del(info.file));
        let read = crate::format::deletes::read(&**storage, stored.database, info).map(|_| ());
        report.count(info.len, 0, read);
    }
    Ok(())
}

fn check_log(
    storage: &Arc<dyn Storage>,
    database: DatabaseId,
    manifest: &Manifest,
    progress: &mut dyn FnMut(&str),
    report: &mut CheckReport,
) {
    progress(layout::WAL_DIR);
    match recover(storage, database, manifest, None, &|| Ok(())) {
        Ok(recovered) => {
            let memtables = recovered.state.tables.values().map(|table| &table.active);
            report.rows += memtables.map(|memtable| u64::from(memtable.len())).sum::<u64>();
            report.bytes += recovered.tail.map_or(0, |tail| tail.end.len);
            report.files += u64::from(recovered.tail.is_some());
        }
        Err(error) => report.problems.push(error.to_string()),
    }
}

impl CheckReport {
    /// A file that is made again when it is damaged; the length of one that is whole.
    fn count_derived(&mut self, outcome: Result<u64>) {
        match outcome {
            Ok(bytes) => self.count(bytes, 0, Ok(())),
            Err(error) => {
                self.files += 1;
                self.problems.push(format!("{error}; nothing is lost: a search makes it again"));
            }
        }
    }

    fn count(&mut self, bytes: u64, rows: u64, outcome: Result<()>) {
        self.files += 1;
        self.bytes += bytes;
        self.rows += rows;
        if let Err(error) = outcome {
            self.problems.push(error.to_string());
        }
    }
}

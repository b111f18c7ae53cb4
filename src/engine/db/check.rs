//! `check`: reads every byte of a database and says what is wrong with which file.

use std::sync::Arc;

use super::manifest::{self, Manifest};
use super::recovery::recover;
use crate::common::{DatabaseId, Error, Result};
use crate::format::layout;
use crate::io::Storage;
use crate::lsm::TableFile;

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
    let logless = Manifest { wal_sealed: None, ..stored.manifest.clone() };
    for record in &logless.tables {
        for file in &record.files {
            progress(&layout::sst(file.sst.file));
            let key = super::maintenance::key_spec(&record.def.clone().derive())?;
            let stored_deletes =
                file.deletes.and_then(|id| logless.deletes.iter().find(|info| info.file == id).cloned());
            let opened = TableFile::with_stored(
                Arc::clone(storage),
                stored.database,
                file.sst.clone(),
                key,
                stored_deletes,
                file.dead,
            );
            let verified = opened
                .reader()
                .and_then(|reader| reader.verify())
                .and_then(|()| opened.deletes().map(|_| ()));
            let whole = verified.is_ok();
            report.count(opened.bytes(), file.sst.rows, verified);
            if whole {
                opened.check_codes(&mut |path, outcome| {
                    progress(path);
                    report.count_derived(outcome);
                })?;
            }
        }
    }
    for info in &logless.deletes {
        progress(&layout::del(info.file));
        let read = crate::format::deletes::read(&**storage, stored.database, info).map(|_| ());
        report.count(info.len, 0, read);
    }
    Ok(report)
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

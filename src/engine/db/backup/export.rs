//! Export: one version of a database as a single file, which opens for reading.
//!
//! It is a backup whose target lays its files into one. Codes of vectors go along, so that nobody who opens the file has
//! to make them.

use std::path::Path;
use std::sync::Arc;

use super::{BackupReport, OnProgress};
use crate::common::{Error, FileId, Result, SeqNo};
use crate::db::core::Core;
use crate::format::{Hash128, layout};
use crate::io::{ContainerWriter, FileDraft, FileWriter, Reopen, Storage, encrypted_like};

/// What an export came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ExportReport {
    /// The last commit in it.
    pub seq: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

impl Core {
    /// Writes `version`, or the database as of now, into the file `path`.
    pub(in crate::db) fn export(
        &self,
        path: &Path,
        replace: bool,
        version: Option<SeqNo>,
        progress: OnProgress<'_>,
    ) -> Result<ExportReport> {
        self.check_open()?;
        let (draft, sink) = FileDraft::create(path, replace)?;
        let report = self.export_to(sink, draft.reopen(), version, progress)?;
        draft.publish()?;
        Ok(report)
    }

    /// [`Core::export`] into any file, which is new and which `reopen` reads.
    pub(in crate::db) fn export_to(
        &self,
        sink: Box<dyn FileWriter>,
        reopen: Reopen,
        version: Option<SeqNo>,
        progress: OnProgress<'_>,
    ) -> Result<ExportReport> {
        self.check_open()?;
        let container = ContainerWriter::new(sink, reopen)?;
        let place = encrypted_like(&*self.storage, Arc::new(container.clone()))?;
        let BackupReport { seq, .. } = self.branch(Arc::clone(&place), version, progress)?;
        self.copy_codes(&*place)?;
        Ok(ExportReport { seq, bytes: container.finish(&layout::DIRS)? })
    }

    /// Takes along the codes of SSTables that are in `container`. They are derived: what is missing or damaged is left out.
    fn copy_codes(&self, container: &dyn Storage) -> Result<()> {
        let held: Vec<Option<FileId>> =
            container.list(layout::SST_DIR)?.iter().map(|name| layout::file_number(name)).collect();
        for name in self.storage.list(layout::INDEX_DIR)? {
            if layout::is_draft(&name) || !held.contains(&layout::file_number(&name)) {
                continue;
            }
            let path = format!("{}/{name}", layout::INDEX_DIR);
            let read = self.storage.open(&path).and_then(|file| file.load(0..file.len()));
            let whole = read.and_then(|bytes| Hash128::check_sealed(&path, &bytes).map(|_| bytes));
            match whole {
                Ok(bytes) => {
                    let mut copy = container.create(&path)?;
                    copy.append(&bytes)?;
                    copy.sync()?;
                }
                Err(Error::Io { .. } | Error::Corrupt { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

//! Repair: a new database of everything in a damaged one that still proves itself, and an exact list of the rest.
//!
//! The damaged folder is only read. The newest manifest that proves itself says what there was; its files are copied,
//! or, where blocks are bad, rewritten without the batches that lie in them; commits of the log are carried over one
//! by one. What is left out is declared: survivors and losses together are what the manifest and the log held. What
//! cannot prove itself is never carried over, so nothing damaged is ever returned as data.

mod log;
mod report;
mod rows;
mod salvage;
mod version;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use super::backup::{Target, check_empty, local_target, source_at};
use super::check::check_storage;
use super::manifest::Manifest;
use crate::common::{EncryptionKey, Error, FileId, Result};
use crate::format::layout;
use crate::io::{Storage, encrypted_like, unlock};
use crate::lsm::FileNumbers;

pub use report::{Loss, LossKind, RepairReport};

/// Repairs the database in the folder `damaged` into the new folder `path`; `progress` hears of each file. An encrypted
/// one needs its `key`, and stays encrypted.
///
/// # Errors
/// `Corrupt` when no manifest proves itself, so that nothing tells what the files mean; `Invalid` when something is
/// at `path`; `Io`.
pub fn repair_path(
    damaged: &Path,
    path: &Path,
    key: Option<&EncryptionKey>,
    progress: &mut dyn FnMut(&str) -> Result<()>,
) -> Result<RepairReport> {
    let source = unlock(source_at(damaged)?, key)?;
    repair_storage(&source, local_target(path)?, progress)
}

/// [`repair_path`] between any storages.
///
/// # Errors
/// As [`repair_path`].
pub fn repair_storage(
    source: &Arc<dyn Storage>,
    target: Arc<dyn Storage>,
    progress: &mut dyn FnMut(&str) -> Result<()>,
) -> Result<RepairReport> {
    let target = encrypted_like(&**source, target)?;
    check_empty(&*target)?;
    let mut report = RepairReport::default();
    let chosen = version::choose(&**source, &mut report)?;
    let target = Target::open(target, chosen.database)?;
    let built = build(source, &target, chosen.manifest, &mut report, progress);
    built.inspect_err(|_| target.take_back())?;
    Ok(report)
}

fn build(
    source: &Arc<dyn Storage>,
    target: &Target,
    mut manifest: Manifest,
    report: &mut RepairReport,
    progress: &mut dyn FnMut(&str) -> Result<()>,
) -> Result<()> {
    report.version = manifest.number;
    let numbers = FileNumbers::new(unused_number(&**source, &manifest)?);
    rows::carry(source, target, &mut manifest, &numbers, report, progress)?;
    log::carry(source, target, &mut manifest, &numbers, report, progress)?;
    manifest.next_file = numbers.peek();
    manifest.number += 1;
    manifest.previous = None;
    forget_past(&mut manifest, report);
    target.publish(&manifest)?;
    note_unused(&**source, report)?;
    prove(target)?;
    target.settle()
}

/// Only the newest version is repaired.
fn forget_past(manifest: &mut Manifest, report: &mut RepairReport) {
    if !manifest.history.is_empty() || !manifest.tags.is_empty() {
        let note =
            "past versions, and the tags of them, are not carried over: read them in the damaged folder";
        report.notes.push(note.to_owned());
    }
    manifest.history.clear();
    manifest.tags.clear();
}

/// A file number that nothing in the damaged folder has.
fn unused_number(source: &dyn Storage, manifest: &Manifest) -> Result<FileId> {
    let mut next = manifest.next_file;
    for dir in layout::DATA_DIRS {
        let used = source.list(dir)?.iter().filter_map(|name| layout::file_number(name)).max();
        next = next.max(used.map_or(next, |file| FileId(file.0.saturating_add(1))));
    }
    Ok(next)
}

/// Files that the version does not name are no loss, and are told of.
fn note_unused(source: &dyn Storage, report: &mut RepairReport) -> Result<()> {
    for dir in layout::NAMED_DIRS {
        for name in source.list(dir)? {
            if !layout::file_number(&name).is_some_and(|file| report.seen.contains(&file)) {
                report.notes.push(format!(
                    "{dir}/{name} is not part of the version that was repaired; it is left out"
                ));
            }
        }
    }
    Ok(())
}

/// The new database must open and check without a fault before it is handed over.
fn prove(target: &Target) -> Result<()> {
    let checked = check_storage(target.shared(), &mut |_| {})?;
    match checked.problems.first() {
        None => Ok(()),
        Some(problem) => Err(Error::Internal(format!("the repaired database does not check: {problem}"))),
    }
}

//! A database in a single file, explained.

use std::sync::Arc;

use super::report::{Fields, FileReport};
use crate::db::manifest;
use crate::io::{ContainerStorage, FileReader, Storage};

/// Fills in what the directory says, and whether all bytes are those that were written.
pub(super) fn explain(file: &Arc<dyn FileReader>, records: bool, report: &mut FileReport) {
    let container = match ContainerStorage::open(Arc::clone(file)) {
        Ok(container) => container,
        Err(error) => return report.failed(&error),
    };
    report.set("members", container.members().count());
    report.set("bytes of members", container.members().map(|(_, member)| member.len).sum::<u64>());
    match manifest::load(&container) {
        Ok(Some(stored)) => {
            report.set("database", format!("{:032x}", stored.database.0));
            report.set("manifest", stored.manifest.number);
            report.set("version", stored.manifest.as_of.0);
        }
        Ok(None) => report.damaged(0, "it holds no CURRENT"),
        Err(error) => report.failed(&error),
    }
    if let Err(error) = container.verify() {
        report.failed(&error);
    }
    if records {
        report.records.extend(container.members().map(|(path, member)| {
            Fields::default()
                .with("member", path.as_str())
                .with("offset", member.offset)
                .with("bytes", member.len)
                .with("hash", member.hash.as_str())
        }));
    }
}

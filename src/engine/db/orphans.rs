//! Files of the folder that nothing names: left by a crash between writing and publishing them, or by a removal that
//! failed.
//!
//! What a kept manifest names is no orphan, nor what its caller says is in use: being written, or read by a snapshot.

use std::collections::HashSet;

use super::core::MANIFESTS_KEPT;
use super::history::kept_paths;
use super::manifest::Manifest;
use crate::common::{DatabaseId, FileId, Result};
use crate::format::layout;
use crate::io::Storage;

/// Removes files that neither the live manifest nor one that it keeps names, and that are not `in_use`. Where a kept
/// manifest cannot be read, nothing tells what it needs, and no data is removed. Returns the number of files removed.
pub(super) fn remove_orphans(
    storage: &dyn Storage,
    database: DatabaseId,
    manifest: &Manifest,
    in_use: &dyn Fn(FileId) -> bool,
) -> Result<u64> {
    let kept = kept_paths(storage, database, manifest);
    let is_known = kept.is_ok();
    let named: HashSet<String> = manifest.paths().into_iter().chain(kept.unwrap_or_default()).collect();
    let start = manifest.oldest_log();
    let is_orphan = |dir: &str, name: &str| {
        let number = layout::file_number(name);
        match dir {
            layout::WAL_DIR => number.is_some_and(|file| file < start) || !name.ends_with(".wal"),
            layout::MANIFEST_DIR => layout::is_draft(name) || is_past(manifest, number.unwrap_or_default().0),
            // Codes are written before their file is named.
            layout::INDEX_DIR => {
                let is_named = |file: FileId| named.contains(&layout::sst(file)) && !layout::is_draft(name);
                number.is_none_or(|file| !is_named(file) && !in_use(file))
            }
            _ => is_known && !named.contains(&format!("{dir}/{name}")) && !number.is_some_and(in_use),
        }
    };
    let mut removed = 0;
    for dir in layout::DIRS {
        for name in storage.list(dir)?.iter().filter(|name| is_orphan(dir, name)) {
            storage.remove(&format!("{dir}/{name}"))?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// True for a manifest that the live one needs no more, or that was never named.
fn is_past(live: &Manifest, number: u64) -> bool {
    let is_near = (live.number.saturating_sub(MANIFESTS_KEPT)..=live.number).contains(&number);
    !is_near && live.history.iter().all(|entry| entry.number != number)
}

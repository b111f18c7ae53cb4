//! Which files of the cache folder go: those that were read longest ago, whoever read them, and what a crash left.
//!
//! Only what looks like the cache's own is looked at: somebody may have named a folder with other things in it.

use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A file that is being written has its name by then.
const DRAFT_STAYS: Duration = Duration::from_secs(600);

/// A file of the cache.
struct Found {
    path: PathBuf,
    used: SystemTime,
    len: u64,
}

/// Removes files until those that are left have at most `budget` bytes.
pub(super) fn evict(folder: &Path, budget: u64) {
    let mut found: Vec<Found> =
        entries(folder).filter(is_object).flat_map(|object| files(&object.path())).collect();
    let mut bytes: u64 = found.iter().map(|file| file.len).sum();
    found.sort_by_key(|file| file.used);
    for file in found {
        if bytes <= budget {
            break;
        }
        if fs::remove_file(&file.path).is_ok() {
            bytes -= file.len;
        }
    }
    for object in entries(folder).filter(is_object) {
        // It is refused where files are left.
        let _ = fs::remove_dir(object.path());
    }
}

fn entries(folder: &Path) -> impl Iterator<Item = DirEntry> {
    fs::read_dir(folder).into_iter().flatten().flatten()
}

fn name(entry: &DirEntry) -> String {
    entry.file_name().to_string_lossy().into_owned()
}

fn is_object(entry: &DirEntry) -> bool {
    let name = name(entry);
    name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Pieces of an object. Drafts that nobody will finish are removed.
fn files(object: &Path) -> Vec<Found> {
    let mut found = Vec::new();
    for entry in entries(object) {
        let Ok(data) = entry.metadata() else { continue };
        let used = data.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let file = Found { path: entry.path(), used, len: data.len() };
        if name(&entry).bytes().all(|byte| byte.is_ascii_digit()) {
            found.push(file);
        } else if name(&entry).ends_with(".new") && used.elapsed().is_ok_and(|age| age > DRAFT_STAYS) {
            let _ = fs::remove_file(file.path);
        }
    }
    found
}

//! The blob files of a table, shared by the SSTables that refer to them, and how much of each is needed.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::file::TableFile;
use crate::common::{DatabaseId, FileId};
use crate::format::blob::BlobInfo;
use crate::io::Storage;
use crate::sstable::BlobFile;

/// Share of a blob file that nobody needs at which it is given up, whatever the others look like.
pub const GARBAGE_SHARE_MAX: f64 = 0.5;
/// Share of all blob files of a table that nobody needs at which the worst one is given up: they take at most a third more
/// than the live values.
pub const GARBAGE_SHARE_TOTAL: f64 = 0.25;

/// Blob files that are open: each is opened once, so that the last who holds it knows to be the last.
#[derive(Debug, Default)]
pub struct KnownBlobs(BTreeMap<FileId, Arc<BlobFile>>);

impl KnownBlobs {
    /// Those that these files refer to.
    pub fn of<'a>(files: impl IntoIterator<Item = &'a Arc<TableFile>>) -> Self {
        let blobs = files.into_iter().flat_map(|file| file.blobs());
        Self(blobs.map(|blob| (blob.info().file, Arc::clone(blob))).collect())
    }

    /// The file that a manifest describes as `info`.
    pub fn get(
        &mut self,
        storage: &Arc<dyn Storage>,
        database: DatabaseId,
        info: &BlobInfo,
    ) -> Arc<BlobFile> {
        let known = self.0.get(&info.file).filter(|known| known.info() == info);
        let found = known.map(Arc::clone);
        found.unwrap_or_else(|| {
            let opened = Arc::new(BlobFile::new(Arc::clone(storage), database, *info));
            self.0.insert(info.file, Arc::clone(&opened));
            opened
        })
    }
}

/// How much of a blob file a table needs.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BlobShare {
    /// The file.
    pub info: BlobInfo,
    /// Values that a row refers to, deleted rows included.
    pub values: u64,
    /// Their bytes.
    pub used: u64,
    /// About how many of them belong to rows that are not deleted.
    pub live: u64,
}

impl BlobShare {
    fn garbage(&self) -> u64 {
        self.info.bytes - self.live.min(self.info.bytes)
    }

    fn garbage_share(&self) -> f64 {
        if self.info.bytes == 0 { 0.0 } else { self.garbage() as f64 / self.info.bytes as f64 }
    }
}

/// How much of its blob files a table needs, by their numbers.
#[must_use]
pub fn blob_shares(files: &[Arc<TableFile>]) -> Vec<BlobShare> {
    let mut shares: BTreeMap<FileId, BlobShare> = BTreeMap::new();
    for file in files {
        let (rows, live) = (file.info().rows.max(1), file.live_rows());
        for used in &file.info().blobs {
            let share = shares.entry(used.blob.file).or_insert(BlobShare {
                info: used.blob,
                values: 0,
                used: 0,
                live: 0,
            });
            let of_live = (used.bytes as f64 * live as f64 / rows as f64) as u64;
            share.values = share.values.saturating_add(used.values);
            share.used = share.used.saturating_add(used.bytes);
            share.live = share.live.saturating_add(of_live);
        }
    }
    shares.into_values().collect()
}

/// The blob files to be given up when there is an occasion.
#[must_use]
pub fn mostly_garbage(shares: &[BlobShare]) -> HashSet<FileId> {
    let worst = shares.iter().filter(|share| share.garbage_share() > GARBAGE_SHARE_MAX);
    worst.map(|share| share.info.file).collect()
}

/// The blob file for which it is worth to make an occasion.
#[must_use]
pub fn worst(shares: &[BlobShare]) -> Option<FileId> {
    let total: u64 = shares.iter().map(|share| share.info.bytes).sum();
    let garbage: u64 = shares.iter().map(BlobShare::garbage).sum();
    let limit = if garbage as f64 > total as f64 * GARBAGE_SHARE_TOTAL { 0.0 } else { GARBAGE_SHARE_MAX };
    let found = shares.iter().filter(|share| share.garbage_share() > limit);
    found.max_by(|a, b| a.garbage_share().total_cmp(&b.garbage_share())).map(|share| share.info.file)
}

//! Files on their way into a backup: reused, linked, or copied and verified on the way.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::{BackupProgress, BackupReport, CopyMode, OnProgress};
use crate::common::{DatabaseId, Error, FileId, Result};
use crate::db::manifest::Manifest;
use crate::format::Hash128;
use crate::format::blob::{self, BlobInfo};
use crate::format::block::{BLOCK_LEN, BlockSums};
use crate::format::deletes::{self, DeletesInfo};
use crate::format::{layout, sum};
use crate::io::{FileReader, Storage};
use crate::sstable::SstInfo;

/// Bytes copied between two reports of progress.
const STEP: u64 = 256 * BLOCK_LEN as u64;

/// Brings files from one storage to another.
#[derive(Debug)]
pub(in crate::db) struct Copier<'a> {
    source: Arc<dyn Storage>,
    target: &'a dyn Storage,
    database: DatabaseId,
    mode: CopyMode,
    pub(in crate::db) report: BackupReport,
    pub(in crate::db) progress: BackupProgress,
    /// Blob files that were brought.
    blobs: HashSet<FileId>,
}

impl<'a> Copier<'a> {
    pub(in crate::db) fn new(
        source: Arc<dyn Storage>,
        target: &'a dyn Storage,
        database: DatabaseId,
        mode: CopyMode,
    ) -> Self {
        let (report, progress) = Default::default();
        Self { source, target, database, mode, report, progress, blobs: HashSet::new() }
    }

    /// Counts what is to come.
    pub(in crate::db) fn start(&mut self, manifest: &Manifest) {
        let files = manifest.tables.iter().flat_map(|table| &table.files);
        let blobs: BTreeMap<FileId, u64> = manifest.blobs().map(|blob| (blob.file, blob.len)).collect();
        let rows: u64 = files.map(|file| file.sst.data_len + file.sst.sum_len).sum();
        self.progress.total = rows + blobs.values().sum::<u64>();
    }

    /// Brings a file of deletion bitmaps, verified.
    pub(in crate::db) fn deletes(&mut self, info: &DeletesInfo) -> Result<()> {
        let path = layout::del(info.file);
        self.report.files += 1;
        self.report.bytes += info.len;
        if deletes::read(self.target, self.database, info).is_ok() {
            self.report.reused += 1;
            return Ok(());
        }
        deletes::read(&*self.source, self.database, info)?;
        let file = self.source.open(&path)?;
        self.report.copied += 1;
        write(self.target, &path, &file.load(0..info.len)?)
    }

    /// Brings an SSTable.
    pub(in crate::db) fn table_file(&mut self, info: &SstInfo, progress: OnProgress<'_>) -> Result<()> {
        self.report.files += 1;
        self.report.bytes += info.data_len + info.sum_len;
        if self.holds(info) {
            self.report.reused += 1;
            return self.advance(info.data_len + info.sum_len, progress);
        }
        let (data, companion) = (layout::sst(info.file), layout::sum(info.file));
        let bytes = read_sum(&*self.source, info)?;
        self.target.remove(&data)?;
        self.target.remove(&companion)?;
        let linked = self.mode == CopyMode::Link
            && self.target.link(&data, &*self.source)?
            && self.target.link(&companion, &*self.source)?;
        if linked {
            self.report.linked += 1;
            return self.advance(info.data_len + info.sum_len, progress);
        }
        self.target.remove(&data)?;
        let (sum, _) = sum::decode(&companion, self.database, info.file, &bytes)?;
        self.data(&data, (info.data_len, info.data_len), &sum.blocks, &[], progress)?;
        write(self.target, &companion, &bytes)?;
        self.report.copied += 1;
        self.advance(info.sum_len, progress)
    }

    /// Brings a blob file, unless it was brought already.
    pub(in crate::db) fn blob_file(&mut self, info: &BlobInfo, progress: OnProgress<'_>) -> Result<()> {
        if self.blobs.contains(&info.file) {
            return Ok(());
        }
        let brought = self.new_blob_file(info, progress);
        if brought.is_err() {
            // Half a file is none.
            self.target.remove(&info.path())?;
        }
        brought?;
        self.blobs.insert(info.file);
        self.report.files += 1;
        self.report.bytes += info.len;
        Ok(())
    }

    fn new_blob_file(&mut self, info: &BlobInfo, progress: OnProgress<'_>) -> Result<()> {
        if read_tail(self.target, info).is_ok() {
            self.report.reused += 1;
            return self.advance(info.len, progress);
        }
        let (tail, blocks) = read_tail(&*self.source, info)?;
        self.target.remove(&info.path())?;
        if self.mode == CopyMode::Link && self.target.link(&info.path(), &*self.source)? {
            self.report.linked += 1;
            return self.advance(info.len, progress);
        }
        self.data(&info.path(), (info.data_len, info.len), &blocks, &tail, progress)?;
        self.report.copied += 1;
        self.advance(tail.len() as u64, progress)
    }

    /// Removes the blob files that were brought and that `manifest` does not name.
    pub(in crate::db) fn drop_unused_blobs(&self, manifest: &Manifest) -> Result<()> {
        let named: HashSet<FileId> = manifest.blobs().map(|blob| blob.file).collect();
        self.blobs.difference(&named).try_for_each(|file| self.target.remove(&layout::blob(*file)))
    }

    /// Makes the names of what was brought durable.
    pub(in crate::db) fn sync(&self) -> Result<()> {
        layout::NAMED_DIRS.iter().try_for_each(|dir| self.target.sync_dir(dir))
    }

    /// True when an earlier backup brought this very file: its companion, which pins the data, is the same.
    fn holds(&self, info: &SstInfo) -> bool {
        let same_len = |file: Arc<dyn FileReader>| file.len() == info.data_len;
        self.target.open(&layout::sst(info.file)).is_ok_and(same_len) && read_sum(self.target, info).is_ok()
    }

    /// Copies the bytes up to `data_len`, verified, and `tail`.
    fn data(
        &mut self,
        path: &str,
        (data_len, len): (u64, u64),
        blocks: &BlockSums,
        tail: &[u8],
        progress: OnProgress<'_>,
    ) -> Result<()> {
        let file = self.source.open(path)?;
        check_len(&*file, len)?;
        let mut copy = self.target.create(path)?;
        for start in (0..data_len).step_by(STEP as usize) {
            let end = (start + STEP).min(data_len);
            let bytes = file.load(start..end)?;
            for (i, block) in bytes.chunks(BLOCK_LEN).enumerate() {
                let number = start / BLOCK_LEN as u64 + i as u64;
                if !blocks.matches(number, block) {
                    let what = format!("block {number} does not match its checksum");
                    return Err(Error::corrupt(path, number * BLOCK_LEN as u64, what));
                }
            }
            copy.append(&bytes)?;
            self.advance(end - start, progress)?;
        }
        if !tail.is_empty() {
            copy.append(tail)?;
        }
        copy.sync()
    }

    fn advance(&mut self, bytes: u64, progress: OnProgress<'_>) -> Result<()> {
        self.progress.done += bytes;
        progress(self.progress)
    }
}

/// A companion, whole, and the one that the manifest pins.
fn read_sum(storage: &dyn Storage, info: &SstInfo) -> Result<arrow::buffer::Buffer> {
    let path = layout::sum(info.file);
    let file = storage.open(&path)?;
    check_len(&*file, info.sum_len)?;
    let bytes = file.load(0..info.sum_len)?;
    let hash = Hash128::check_sealed(&path, &bytes)?;
    if hash == info.sum_hash {
        Ok(bytes)
    } else {
        Err(Error::corrupt(path, 0, format!("its hash is {hash}, the manifest says {}", info.sum_hash)))
    }
}

/// What stands behind the values of a blob file, when it is the one that the manifest pins; and the checksums in it.
fn read_tail(storage: &dyn Storage, info: &BlobInfo) -> Result<(arrow::buffer::Buffer, BlockSums)> {
    let path = info.path();
    let file = storage.open(&path)?;
    check_len(&*file, info.len)?;
    let (header, tail) = (file.load(0..blob::HEADER_LEN as u64)?, file.load(info.data_len..info.len)?);
    let (found, hash) = blob::decode_tail(&path, &header, &tail, info.data_len)?;
    if hash == info.hash {
        Ok((tail, found.sums))
    } else {
        Err(Error::corrupt(
            path,
            info.data_len,
            format!("its hash is {hash}, the manifest says {}", info.hash),
        ))
    }
}

fn check_len(file: &dyn FileReader, len: u64) -> Result<()> {
    if file.len() == len {
        return Ok(());
    }
    let what = format!("it has {} bytes, the manifest says {len}", file.len());
    Err(Error::corrupt(file.path(), file.len().min(len), what))
}

/// Writes a whole file durably, in the place of one that no manifest names.
fn write(target: &dyn Storage, path: &str, bytes: &[u8]) -> Result<()> {
    target.remove(path)?;
    let mut file = target.create(path)?;
    file.append(bytes)?;
    file.sync()
}

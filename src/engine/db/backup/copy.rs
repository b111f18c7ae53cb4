//! Files on their way into a backup: reused, linked, or copied and verified on the way.

use std::sync::Arc;

use super::{BackupProgress, BackupReport, CopyMode, OnProgress};
use crate::common::{DatabaseId, Error, Result};
use crate::db::manifest::Manifest;
use crate::format::Hash128;
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
}

impl<'a> Copier<'a> {
    pub(in crate::db) fn new(
        source: Arc<dyn Storage>,
        target: &'a dyn Storage,
        database: DatabaseId,
        mode: CopyMode,
    ) -> Self {
        let (report, progress) = Default::default();
        Self { source, target, database, mode, report, progress }
    }

    /// Counts what is to come.
    pub(in crate::db) fn start(&mut self, manifest: &Manifest) {
        let files = manifest.tables.iter().flat_map(|table| &table.files);
        self.progress.total = files.map(|file| file.sst.data_len + file.sst.sum_len).sum();
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
        self.data(&data, info, &sum.blocks, progress)?;
        write(self.target, &companion, &bytes)?;
        self.report.copied += 1;
        self.advance(info.sum_len, progress)
    }

    /// Makes the names of what was brought durable.
    pub(in crate::db) fn sync(&self) -> Result<()> {
        self.target.sync_dir(layout::SST_DIR)?;
        self.target.sync_dir(layout::DEL_DIR)
    }

    /// True when an earlier backup brought this very file: its companion, which pins the data, is the same.
    fn holds(&self, info: &SstInfo) -> bool {
        let same_len = |file: Arc<dyn FileReader>| file.len() == info.data_len;
        self.target.open(&layout::sst(info.file)).is_ok_and(same_len) && read_sum(self.target, info).is_ok()
    }

    fn data(
        &mut self,
        path: &str,
        info: &SstInfo,
        blocks: &BlockSums,
        progress: OnProgress<'_>,
    ) -> Result<()> {
        let file = self.source.open(path)?;
        check_len(&*file, info.data_len)?;
        let mut copy = self.target.create(path)?;
        for start in (0..info.data_len).step_by(STEP as usize) {
            let end = (start + STEP).min(info.data_len);
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

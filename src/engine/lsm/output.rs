//! Sorted rows on their way into SSTables: starts a new file when one is full.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::RecordBatch;

use super::codes::remove_codes;
use super::separate::{BlobPlan, Separator, Uses};
use crate::common::sync::{AtomicU64, Mutex, RwLock};
use crate::common::{ClosedReason, DatabaseId, Error, FileId, Result, SeqNo};
use crate::format::layout;
use crate::format::row_ids::RowIdRuns;
use crate::format::table::TableDef;
use crate::io::Storage;
use crate::memtable::ChunkKeys;
use crate::sstable::{RowKeys, SstHeader, SstInfo, SstKey, SstWriter};

/// Hands out file numbers, which are never reused, and knows which files are written that no manifest names yet.
#[derive(Clone, Debug)]
pub struct FileNumbers {
    next: Arc<AtomicU64>,
    unnamed: Arc<Mutex<BTreeSet<FileId>>>,
    ended: Arc<RwLock<bool>>,
}

impl FileNumbers {
    /// Starts at `next`.
    #[must_use]
    pub fn new(next: FileId) -> Self {
        Self { next: Arc::new(AtomicU64::new(next.0)), unnamed: Arc::default(), ended: Arc::default() }
    }

    /// A number of its own.
    pub fn take(&self) -> FileId {
        FileId(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// A number for a file that is no orphan, until it is settled: named by a manifest, or removed.
    pub fn begin(&self) -> FileId {
        let file = self.take();
        self.unnamed.lock().insert(file);
        file
    }

    /// What became of these files is known.
    pub fn settle(&self, files: impl IntoIterator<Item = FileId>) {
        let mut unnamed = self.unnamed.lock();
        if !unnamed.is_empty() {
            for file in files {
                unnamed.remove(&file);
            }
        }
    }

    /// True for a file that was begun and is not settled.
    #[must_use]
    pub fn is_unnamed(&self, file: FileId) -> bool {
        self.unnamed.lock().contains(&file)
    }

    /// From here on numbers that no manifest names are those of whoever opens next: no file of one is touched any more.
    pub fn end(&self) {
        *self.ended.write() = true;
    }

    /// Does `act` on files of these numbers; `None` once they ended.
    pub fn while_ours<T>(&self, act: impl FnOnce() -> T) -> Option<T> {
        let ended = self.ended.read();
        (!*ended).then(act)
    }

    /// The number that [`FileNumbers::take`] would give.
    #[must_use]
    pub fn peek(&self) -> FileId {
        FileId(self.next.load(Ordering::Relaxed))
    }
}

/// Writes rows in key order into as many files as they need. Dropped unfinished, it removes what it wrote.
#[derive(Debug)]
pub struct Output {
    storage: Arc<dyn Storage>,
    database: DatabaseId,
    numbers: FileNumbers,
    table: Arc<TableDef>,
    batch_rows: usize,
    file_bytes: u64,
    writer: Option<SstWriter>,
    range: (SeqNo, SeqNo),
    separator: Separator,
    /// Finished files, with what their rows need of blob files.
    files: Vec<(SstInfo, Uses)>,
    /// Files begun, as long as nobody took them over.
    begun: Vec<FileId>,
}

impl Output {
    /// Files for `table`, whose rows were committed within `range`.
    pub fn new(
        storage: Arc<dyn Storage>,
        database: DatabaseId,
        numbers: FileNumbers,
        table: Arc<TableDef>,
        (batch_rows, file_bytes): (usize, usize),
        range: (SeqNo, SeqNo),
    ) -> Self {
        let separator = Separator::new(
            Arc::clone(&storage),
            database,
            numbers.clone(),
            Arc::clone(&table),
            file_bytes as u64,
        );
        Self {
            storage,
            database,
            numbers,
            table,
            batch_rows,
            file_bytes: file_bytes as u64,
            writer: None,
            range,
            separator,
            files: Vec::new(),
            begun: Vec::new(),
        }
    }

    /// The same with another plan for large values, all of which otherwise stay in the rows.
    #[must_use]
    pub fn separating(mut self, blobs: BlobPlan) -> Self {
        self.separator.plan = blobs;
        self
    }

    /// What becomes of large values.
    pub fn blobs(&mut self) -> &mut BlobPlan {
        &mut self.separator.plan
    }

    /// Bytes of large values written since the last call.
    pub fn take_blob_bytes(&mut self) -> u64 {
        std::mem::take(&mut self.separator.written)
    }

    /// Appends rows, which follow all earlier ones in key order: columns of the table, and perhaps columns of references
    /// of some of them.
    ///
    /// # Errors
    /// When the disk refuses, or rows come out of order; `Closed`.
    pub fn write(&mut self, rows: &RecordBatch, keys: &ChunkKeys) -> Result<()> {
        let numbers = self.numbers.clone();
        numbers.while_ours(|| self.write_rows(rows, keys)).unwrap_or(Err(Error::Closed(ClosedReason::Clean)))
    }

    fn write_rows(&mut self, rows: &RecordBatch, keys: &ChunkKeys) -> Result<()> {
        let missing = self.separator.missing(rows);
        if !missing.is_empty() {
            // A file has its columns from its first row on.
            self.end_file()?;
            self.separator.plan.add(&missing);
        }
        let (rows, beside) = self.separator.separate(rows)?;
        self.begun.append(&mut self.separator.begun);
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => self.open()?,
        };
        match keys {
            ChunkKeys::Encoded(keys) => writer.write_beside(&rows, RowKeys::Encoded(keys), beside)?,
            ChunkKeys::RowIds(ids) => {
                let runs = RowIdRuns::from_ids(ids.values())
                    .ok_or_else(|| Error::Internal("row ids do not ascend".into()))?;
                writer.write_beside(&rows, RowKeys::RowIds(&runs), beside)?;
            }
        }
        let is_full = writer.bytes_written() >= self.file_bytes;
        self.writer = Some(writer);
        if is_full { self.end_file() } else { Ok(()) }
    }

    fn end_file(&mut self) -> Result<()> {
        if let Some(writer) = self.writer.take() {
            self.files.push((writer.finish(self.range.0, self.range.1)?, self.separator.take_uses()));
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        self.end_file()?;
        self.separator.end_blob()
    }

    /// Closes the last file and tells what was written; the caller makes the folder durable.
    ///
    /// # Errors
    /// When the disk refuses; `Closed`.
    pub fn finish(mut self) -> Result<Vec<SstInfo>> {
        let numbers = self.numbers.clone();
        numbers.while_ours(|| self.end()).unwrap_or(Err(Error::Closed(ClosedReason::Clean)))?;
        for (info, uses) in &mut self.files {
            info.blobs = self.separator.described(uses)?;
        }
        self.begun.clear();
        Ok(std::mem::take(&mut self.files).into_iter().map(|(info, _)| info).collect())
    }

    fn open(&mut self) -> Result<SstWriter> {
        let key = if self.table.is_keyed() { SstKey::Keyed } else { SstKey::RowId };
        let file = self.numbers.begin();
        self.begun.push(file);
        let header = SstHeader {
            database: self.database,
            file,
            table: self.table.id,
            schema: self.separator.file_schema(),
            key,
            batch_rows: self.batch_rows,
        };
        SstWriter::create(Arc::clone(&self.storage), header)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // The space may be what was missing. A file that stays behind is an orphan, which the next opening removes.
        self.writer = None;
        self.begun.extend(self.separator.abandon());
        self.numbers.while_ours(|| remove_files(&*self.storage, &self.begun));
        self.numbers.settle(self.begun.iter().copied());
    }
}

/// Removes the files of these numbers, which no manifest names.
pub fn remove_files(storage: &dyn Storage, files: &[FileId]) {
    for file in files {
        let _ = storage.remove(&layout::sst(*file));
        let _ = storage.remove(&layout::sum(*file));
        let _ = storage.remove(&layout::del(*file));
        let _ = storage.remove(&layout::blob(*file));
        remove_codes(storage, *file);
    }
}

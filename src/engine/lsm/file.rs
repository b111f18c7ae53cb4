//! One SSTable as a version of a table holds it: the file, and which of its rows are deleted.
//!
//! Readers and bitmaps are opened at first use, so that a damaged file disables its own rows and nothing else. The
//! file leaves the disk when the last version that holds it is gone.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, Weak};

use roaring::RoaringBitmap;

use super::blobs::KnownBlobs;
use super::codes::{CodeCache, remove_codes, remove_codes_of};
use super::derived::{self, Derivation, DerivedCache, Wanted};
use crate::common::sync::AtomicBool;
use crate::common::{ColumnId, DatabaseId, Error, FileId, Result, SeqNo};
use crate::format::deletes::{self, DeletesInfo};
use crate::format::layout;
use crate::format::table::TableDef;
use crate::index::VectorCodes;
use crate::io::Storage;
use crate::sstable::{BlobFile, KeySpec, SortedKeys, SstInfo, SstReader};

/// An SSTable and its deleted rows.
#[derive(Debug)]
pub struct TableFile {
    handle: Arc<Handle>,
    deletes: OnceLock<Arc<RoaringBitmap>>,
    stored: Option<DeletesInfo>,
    dead: u64,
    level: u8,
}

/// What all versions of one file share.
#[derive(Debug)]
struct Handle {
    storage: Arc<dyn Storage>,
    database: DatabaseId,
    info: SstInfo,
    key: Option<KeySpec>,
    blobs: Vec<Arc<BlobFile>>,
    reader: OnceLock<Arc<SstReader>>,
    codes: CodeCache,
    derived: DerivedCache,
    obsolete: AtomicBool,
    pid: u32,
}

/// A file that the newest version does not hold.
#[derive(Debug)]
pub struct Retired(FileId, Holder);

#[derive(Debug)]
enum Holder {
    Rows(Weak<Handle>),
    Blobs(Weak<BlobFile>),
}

impl Retired {
    /// Its number, while an older version holds it.
    #[must_use]
    pub fn held(&self) -> Option<FileId> {
        let is_held = match &self.1 {
            Holder::Rows(handle) => handle.strong_count() > 0,
            Holder::Blobs(blob) => blob.strong_count() > 0,
        };
        is_held.then_some(self.0)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // In a forked child the parent may still read it.
        if self.obsolete.load(Ordering::Acquire) && self.pid == std::process::id() {
            // A file that stays behind is an orphan, which the next opening for writing removes.
            let _ = self.storage.remove(&layout::sst(self.info.file));
            let _ = self.storage.remove(&layout::sum(self.info.file));
            remove_codes(&*self.storage, self.info.file);
        }
    }
}

impl TableFile {
    /// A file no row of which is deleted. It shares the blob files that are `known`.
    pub fn new(
        storage: Arc<dyn Storage>,
        database: DatabaseId,
        info: SstInfo,
        key: Option<KeySpec>,
        known: &mut KnownBlobs,
    ) -> Self {
        Self::with_stored(storage, database, (info, key), (None, 0), known)
    }

    /// A file and its key, with so many deleted rows, whose bitmap lies in the file `stored`.
    pub fn with_stored(
        storage: Arc<dyn Storage>,
        database: DatabaseId,
        (info, key): (SstInfo, Option<KeySpec>),
        (stored, dead): (Option<DeletesInfo>, u64),
        known: &mut KnownBlobs,
    ) -> Self {
        let blobs = info.blobs.iter().map(|used| known.get(&storage, database, &used.blob)).collect();
        let handle = Handle {
            storage,
            database,
            info,
            key,
            blobs,
            reader: OnceLock::new(),
            codes: CodeCache::default(),
            derived: DerivedCache::default(),
            obsolete: AtomicBool::new(false),
            pid: std::process::id(),
        };
        let deletes = OnceLock::new();
        if stored.is_none() {
            let _ = deletes.set(Arc::default());
        }
        Self { handle: Arc::new(handle), deletes, stored, dead, level: 0 }
    }

    /// The same file with other rows deleted, not stored yet.
    #[must_use]
    pub fn with_bitmap(&self, bitmap: RoaringBitmap) -> Self {
        let dead = bitmap.len();
        Self {
            handle: Arc::clone(&self.handle),
            deletes: OnceLock::from(Arc::new(bitmap)),
            stored: None,
            dead,
            level: self.level,
        }
    }

    /// The same file, its deleted rows stored in `info`.
    #[must_use]
    pub fn stored_in(&self, info: DeletesInfo) -> Self {
        let deletes =
            self.deletes.get().map_or_else(OnceLock::new, |bitmap| OnceLock::from(Arc::clone(bitmap)));
        let (handle, level) = (Arc::clone(&self.handle), self.level);
        Self { handle, deletes, stored: Some(info), dead: self.dead, level }
    }

    /// The same file at a level of the merge strategy.
    #[must_use]
    pub fn at_level(self, level: u8) -> Self {
        Self { level, ..self }
    }

    /// Its level: 0 as it was flushed, higher the more often its rows were merged.
    #[must_use]
    pub fn level(&self) -> u8 {
        self.level
    }

    /// The same file with `dead` other deleted rows, whose bitmap lies in `stored`.
    #[must_use]
    pub fn with_stored_deletes(&self, stored: Option<DeletesInfo>, dead: u64) -> Self {
        let deletes = if stored.is_none() { OnceLock::from(Arc::default()) } else { OnceLock::new() };
        Self { handle: Arc::clone(&self.handle), deletes, stored, dead, level: self.level }
    }

    /// True when rows were deleted since its bitmap was stored.
    #[must_use]
    pub fn is_unstored(&self) -> bool {
        self.dead > 0 && self.stored.is_none()
    }

    /// What the manifest says of it.
    #[must_use]
    pub fn info(&self) -> &SstInfo {
        &self.handle.info
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> FileId {
        self.handle.info.file
    }

    /// Sequence number of its newest row.
    #[must_use]
    pub fn max_seq(&self) -> SeqNo {
        self.handle.info.max_seq
    }

    /// Where its deletion bitmap is stored.
    #[must_use]
    pub fn stored_deletes(&self) -> Option<&DeletesInfo> {
        self.stored.as_ref()
    }

    /// Number of deleted rows.
    #[must_use]
    pub fn dead_rows(&self) -> u64 {
        self.dead
    }

    /// Number of rows that are not deleted.
    #[must_use]
    pub fn live_rows(&self) -> u64 {
        self.handle.info.rows - self.dead
    }

    /// Bytes of the file and its companion.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.handle.info.data_len + self.handle.info.sum_len
    }

    /// The open file.
    ///
    /// # Errors
    /// `Corrupt` or `Io`, at every call until the file is mended.
    pub fn reader(&self) -> Result<&Arc<SstReader>> {
        if let Some(reader) = self.handle.reader.get() {
            return Ok(reader);
        }
        let opened = SstReader::open(
            &*self.handle.storage,
            self.handle.database,
            &self.handle.info,
            self.handle.key.clone(),
        )?;
        let opened = opened.with_blobs(self.handle.blobs.clone());
        Ok(self.handle.reader.get_or_init(|| Arc::new(opened)))
    }

    /// The codes of a column of vectors, made now when they are not there; `None` for a column or a file without.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn codes(&self, table: &TableDef, column: ColumnId) -> Result<Option<Arc<VectorCodes>>> {
        let Handle { storage, database, codes, .. } = &*self.handle;
        codes.get(&**storage, *database, self.reader()?, (table, column))
    }

    /// What is made of a column, by its position in the table, in the way of `how`: stored, or made now.
    ///
    /// # Errors
    /// When the file cannot be read, or `how` fails.
    pub fn derived<D: Derivation>(&self, table: &TableDef, column: usize, how: &D) -> Result<Arc<D::Opened>> {
        let Handle { storage, database, derived, .. } = &*self.handle;
        derived.get(&**storage, *database, (table, column), self.reader()?, how)
    }

    /// What searches wanted of it.
    #[must_use]
    pub fn wanted(&self) -> &Wanted {
        &self.handle.derived.wanted
    }

    /// Makes the codes that are not stored of all columns that have such, so that no search has to.
    ///
    /// # Errors
    /// When the file cannot be read or the disk refuses.
    pub fn store_codes(&self, table: &TableDef) -> Result<()> {
        let Handle { storage, database, codes, .. } = &*self.handle;
        codes.store(&**storage, *database, (table, self.reader()?))
    }

    /// Removes the stored codes of a column.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn remove_codes(&self, column: ColumnId) -> Result<()> {
        remove_codes_of(&*self.handle.storage, self.handle.info.file, column)
    }

    /// Verifies what is stored that was made of it; `found` hears of each file, and of its length if it is whole.
    ///
    /// # Errors
    /// When the file itself cannot be read.
    pub fn check_derived(&self, table: &TableDef, found: &mut dyn FnMut(&str, Result<u64>)) -> Result<()> {
        let Handle { storage, database, codes, .. } = &*self.handle;
        codes.check(&**storage, *database, (table, self.reader()?), found)?;
        derived::check(&**storage, self.reader()?, found)
    }

    /// The deleted rows.
    ///
    /// # Errors
    /// `Corrupt` or `Io`, at every call until the bitmap's file is mended.
    pub fn deletes(&self) -> Result<&Arc<RoaringBitmap>> {
        if let Some(bitmap) = self.deletes.get() {
            return Ok(bitmap);
        }
        let bitmap = self.load_deletes()?;
        Ok(self.deletes.get_or_init(|| Arc::new(bitmap)))
    }

    fn load_deletes(&self) -> Result<RoaringBitmap> {
        let Some(stored) = &self.stored else { return Ok(RoaringBitmap::new()) };
        let mut all = deletes::read(&*self.handle.storage, self.handle.database, stored)?;
        let bitmap = all.remove(&self.id()).unwrap_or_default();
        if bitmap.len() != self.dead || bitmap.max().is_some_and(|row| u64::from(row) >= self.info().rows) {
            let what = format!(
                "it does not hold the {} deleted rows of file {} that the manifest counts",
                self.dead,
                self.id()
            );
            return Err(Error::corrupt(layout::del(stored.file), 0, what));
        }
        Ok(bitmap)
    }

    /// The live row of `key` (encoded, or a big-endian row id).
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn find_live(&self, key: &[u8]) -> Result<Option<u64>> {
        let Some(row) = self.find(key)? else { return Ok(None) };
        Ok((!self.deletes()?.contains(row as u32)).then_some(row))
    }

    /// For each of these keys that has a live row here: its position among them, and the row. Of a keyed table.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn find_live_many(&self, keys: &SortedKeys) -> Result<Vec<(usize, u64)>> {
        if keys.within(&self.info().min_key, &self.info().max_key).is_empty() {
            return Ok(Vec::new());
        }
        let deletes = self.deletes()?;
        let mut found = self.reader()?.find_many(keys)?;
        found.retain(|(_, row)| !deletes.contains(*row as u32));
        Ok(found)
    }

    fn find(&self, key: &[u8]) -> Result<Option<u64>> {
        let info = self.info();
        if key < info.min_key.as_slice() || key > info.max_key.as_slice() {
            return Ok(None);
        }
        let reader = self.reader()?;
        match (&self.handle.key, <[u8; 8]>::try_from(key)) {
            (None, Ok(id)) => Ok(reader.find_row_id(crate::common::RowId(u64::from_be_bytes(id)))),
            _ => reader.find(key),
        }
    }

    /// The blob files that its rows refer to.
    #[must_use]
    pub fn blobs(&self) -> &[Arc<BlobFile>] {
        &self.handle.blobs
    }

    /// Bytes of the values in blob files that its rows refer to.
    #[must_use]
    pub fn blob_bytes(&self) -> u64 {
        self.handle.info.blobs.iter().map(|used| used.bytes).sum()
    }

    /// Leaves the file, and the blob files that its rows refer to, on disk, whoever lets go of them.
    pub fn keep(&self) {
        self.handle.obsolete.store(false, Ordering::Release);
        self.keep_blobs();
    }

    /// Leaves the blob files that its rows refer to on disk: a manifest is to name them, perhaps once more.
    pub fn keep_blobs(&self) {
        self.handle.blobs.iter().for_each(|blob| blob.set_obsolete(false));
    }

    /// Removes the file from disk once no version holds it.
    pub fn retire(&self) -> Retired {
        self.handle.obsolete.store(true, Ordering::Release);
        Retired(self.id(), Holder::Rows(Arc::downgrade(&self.handle)))
    }

    /// Removes those of the blob files that its rows refer to, and no file of `others` does, once no version holds them.
    pub fn retire_blobs<'a>(&'a self, others: &'a [Arc<Self>]) -> impl Iterator<Item = Retired> + 'a {
        let is_needed = |blob: &BlobFile| {
            let mut held = others.iter().flat_map(|file| file.blobs());
            held.any(|held| held.info().file == blob.info().file)
        };
        let unneeded = self.handle.blobs.iter().filter(move |blob| !is_needed(blob));
        unneeded.map(|blob| {
            blob.set_obsolete(true);
            Retired(blob.info().file, Holder::Blobs(Arc::downgrade(blob)))
        })
    }
}

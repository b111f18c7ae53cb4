//! Any place for a database, with every file sealed on its way in and opened on its way out.
//!
//! What lies above sees the same files as without. Names, lengths to some bytes and times of files stay visible, as do
//! the lock and the file `KEYS`, which holds the data keys and is never seen from above. A whole folder put back from an
//! older day is not noticed: it is what the database was then.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use super::cipher::{ENCRYPTED_MAGIC, FileCipher, HEADER_LEN, Header, Salts, Shape, family, random};
use super::keys::{KEYS, KeyRing};
use super::log_reader::FrameReader;
use super::log_writer::FrameWriter;
use super::pages::{PagedReader, PagedWriter};
use crate::common::sync::{AtomicBool, Mutex, RwLock};
use crate::common::{ClosedReason, EncryptionKey, Error, KeyFault, Result};
use crate::io::path::split;
use crate::io::{Cache, Fence, FileReader, FileWriter, LockGuard, Stamp, Storage};

/// The file that names the live state of a database, and so tells one from an empty folder.
const CURRENT: &str = "CURRENT";

/// A place whose files are encrypted.
#[derive(Debug)]
pub struct EncryptedStorage {
    inner: Arc<dyn Storage>,
    ring: RwLock<Arc<KeyRing>>,
    /// Rings from before, which writers of files may hold.
    earlier: Mutex<Vec<Weak<KeyRing>>>,
    /// False while the keys are in memory only.
    stored: AtomicBool,
    salts: Salts,
}

/// `storage` as it is read and written with `key`, or without one.
///
/// # Errors
/// `Key` when it is encrypted and there is no key or a wrong one, or when it is not and there is one; `Corrupt` for a
/// damaged or a missing `KEYS`; `Io`.
pub fn unlock(storage: Arc<dyn Storage>, key: Option<&EncryptionKey>) -> Result<Arc<dyn Storage>> {
    unlock_with_salts(storage, key, random)
}

/// [`unlock`] for a test of the tests: all salts are the caller's, and files are safe only if those are random.
///
/// # Errors
/// As [`unlock`], and those of `salts` where a file is created.
pub fn unlock_with_salts(
    storage: Arc<dyn Storage>,
    key: Option<&EncryptionKey>,
    salts: Salts,
) -> Result<Arc<dyn Storage>> {
    let names = storage.list("")?;
    let has = |name: &str| names.iter().any(|held| held == name);
    match (key, has(KEYS)) {
        (None, false) => Ok(storage),
        (None, true) => Err(Error::key(storage.describe(), KeyFault::Missing)),
        (Some(key), true) => {
            Ok(Arc::new(EncryptedStorage { salts, ..EncryptedStorage::open(storage, key)? }))
        }
        (Some(_), false) if has(CURRENT) => Err(without_keys(&*storage)?),
        (Some(key), false) => {
            Ok(Arc::new(EncryptedStorage { salts, ..EncryptedStorage::create(storage, KeyRing::new(key)?) }))
        }
    }
}

fn without_keys(storage: &dyn Storage) -> Result<Error> {
    let current = storage.open(CURRENT)?;
    let head = current.load(0..current.len().min(ENCRYPTED_MAGIC.len() as u64))?;
    if head[..] != ENCRYPTED_MAGIC {
        return Ok(Error::key(storage.describe(), KeyFault::NotEncrypted));
    }
    let what =
        "it is missing, and nothing can be read without it; a backup taken since the key was rotated has it";
    Ok(Error::corrupt(KEYS, 0, what))
}

/// The bytes of `KEYS`; `None` when there is none.
fn read_keys(storage: &dyn Storage) -> Result<Option<Vec<u8>>> {
    match storage.open(KEYS) {
        Ok(file) => Ok(Some(file.load(0..file.len())?.to_vec())),
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl EncryptedStorage {
    fn open(inner: Arc<dyn Storage>, key: &EncryptionKey) -> Result<Self> {
        let bytes = read_keys(&*inner)?.ok_or_else(|| Error::corrupt(KEYS, 0, "it is gone"))?;
        let ring = KeyRing::open(&inner.describe(), &bytes, key)?;
        let storage = Self::create(inner, ring);
        storage.stored.store(true, Ordering::Release);
        Ok(storage)
    }

    /// A place that gets its keys with its lock.
    fn create(inner: Arc<dyn Storage>, ring: KeyRing) -> Self {
        let ring = RwLock::new(Arc::new(ring));
        Self { inner, ring, earlier: Mutex::default(), stored: AtomicBool::new(false), salts: random }
    }

    fn ring(&self) -> Arc<KeyRing> {
        Arc::clone(&self.ring.read())
    }

    /// `place` under the same keys: for a backup, or whatever else is made of this database.
    ///
    /// # Errors
    /// `Invalid` when there are other keys already, or keys that this database has no more; `Io`.
    pub(super) fn extend_to(&self, place: Arc<dyn Storage>) -> Result<Arc<dyn Storage>> {
        let ring = self.ring();
        let Some(bytes) = read_keys(&*place)? else {
            return Ok(Arc::new(Self::create(place, KeyRing::clone(&ring))));
        };
        match KeyRing::open(&place.describe(), &bytes, &ring.caller) {
            Ok(theirs) if ring.covers(&theirs) => Ok(Arc::new(Self::create(place, KeyRing::clone(&ring)))),
            Ok(_) | Err(Error::Key { .. }) => {
                let why = "it holds what was encrypted with other keys, or before this database's key was rotated; give \
                           a new or empty folder";
                Err(Error::invalid(format!("{:?}", place.describe()), why))
            }
            Err(error) => Err(error),
        }
    }

    /// True when `key` is the one that opens it now.
    #[must_use]
    pub fn opens_with(&self, key: &EncryptionKey) -> bool {
        self.ring().caller == *key
    }

    /// Changes the key that opens it, and the data key of files to come. Once this has returned, the old key opens it no
    /// more; whatever ends it before, one of the two does.
    ///
    /// # Errors
    /// What `fence` says; `Io`.
    pub fn rotate(&self, key: &EncryptionKey, fence: Fence<'_>) -> Result<()> {
        let ring = self.ring().rotated(key)?;
        self.store(ring, fence)
    }

    /// Forgets data keys that no file needs, and returns how many are left.
    ///
    /// # Errors
    /// What `fence` says; `Io`.
    pub fn forget_unused(&self, folders: &[&str], fence: Fence<'_>) -> Result<usize> {
        // A file that is being written may not say yet which key it needs.
        let earlier: Vec<_> = self.earlier.lock().iter().filter_map(Weak::upgrade).collect();
        let mut used: Vec<u32> = earlier.iter().map(|ring| ring.newest().0).collect();
        drop(earlier);
        for folder in [""].iter().chain(folders) {
            for name in self.list(folder)? {
                let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                used.extend(self.key_number(&path)?);
            }
        }
        if let Some(ring) = self.ring().without(|number| used.contains(&number))? {
            self.store(ring, fence)?;
        }
        Ok(self.ring().len())
    }

    /// True for a file that was written under a data key before the newest.
    ///
    /// # Errors
    /// `Io`.
    pub fn is_outdated(&self, path: &str) -> Result<bool> {
        Ok(self.key_number(path)?.is_some_and(|number| number != self.ring().newest().0))
    }

    /// Number of the data key of a file; `None` for one that is not encrypted, or gone.
    fn key_number(&self, path: &str) -> Result<Option<u32>> {
        match self.inner.open(path) {
            Ok(file) => Ok(read_header(&*file, path).ok().map(|header| header.key)),
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes `ring` the keys of this place, durably.
    fn store(&self, ring: KeyRing, fence: Fence<'_>) -> Result<()> {
        let draft = format!("{KEYS}.{:08x}.new", u32::from_le_bytes(random()?));
        self.inner.write_draft(&draft, &ring.bytes)?;
        fence()?;
        self.inner.rename(&draft, KEYS)?;
        self.inner.sync_dir("")?;
        let before = std::mem::replace(&mut *self.ring.write(), Arc::new(ring));
        let mut earlier = self.earlier.lock();
        earlier.retain(|ring| ring.strong_count() > 0);
        earlier.push(Arc::downgrade(&before));
        self.stored.store(true, Ordering::Release);
        Ok(())
    }

    /// The first holder of the lock stores the keys of a new database; who comes second takes those.
    fn settle(&self, lock: &dyn LockGuard) -> Result<()> {
        if self.stored.load(Ordering::Acquire) {
            return Ok(());
        }
        let ring = self.ring();
        let found = read_keys(&*self.inner)?;
        let found = found.map(|bytes| KeyRing::open(&self.describe(), &bytes, &ring.caller)).transpose()?;
        if let Some(found) = found.filter(|found| found.bytes == ring.bytes || !ring.covers(found)) {
            *self.ring.write() = Arc::new(found);
            self.stored.store(true, Ordering::Release);
            return Ok(());
        }
        let held = || if lock.is_held() { Ok(()) } else { Err(Error::Closed(ClosedReason::Fenced)) };
        self.store(KeyRing::clone(&ring), &held)
    }

    fn cipher(&self, path: &str, header: &Header) -> Result<FileCipher> {
        let mut ring = self.ring();
        if header.family != family(&ring.id) {
            let what = "it belongs to another encrypted database, or KEYS does";
            return Err(Error::corrupt(path, 20, what));
        }
        if ring.key(header.key).is_none() {
            // The writer, in another process, has rotated its key since.
            let bytes = read_keys(&*self.inner)?.unwrap_or_default();
            ring = Arc::new(KeyRing::open(&self.describe(), &bytes, &ring.caller)?);
            *self.ring.write() = Arc::clone(&ring);
        }
        let key = ring.key(header.key).ok_or_else(|| {
            Error::corrupt(path, 16, format!("it needs data key {}, which KEYS does not hold", header.key))
        })?;
        FileCipher::new(key, &ring.id, split(path).0, header)
    }

    fn begin(&self, path: &str, shape: Shape) -> Result<NewFile> {
        let ring = self.ring();
        let (number, key) = ring.newest();
        let header = Header::new(shape, *number, &ring.id, self.salts)?;
        let cipher = FileCipher::new(key, &ring.id, split(path).0, &header)?;
        Ok(NewFile { header, cipher, _ring: ring })
    }
}

/// What a file is begun with.
#[derive(Debug)]
pub(super) struct NewFile {
    pub header: Header,
    pub cipher: FileCipher,
    /// Held for as long as the file is written, so that its data key is not forgotten.
    pub _ring: Arc<KeyRing>,
}

fn read_header(file: &dyn FileReader, path: &str) -> Result<Header> {
    Header::decode(path, &file.load(0..file.len().min(HEADER_LEN))?)
}

impl Storage for EncryptedStorage {
    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn is_durable(&self) -> bool {
        self.inner.is_durable()
    }

    fn create_dir(&self, dir: &str) -> Result<()> {
        self.inner.create_dir(dir)
    }

    fn create(&self, path: &str) -> Result<Box<dyn FileWriter>> {
        let new = self.begin(path, Shape::Pages)?;
        Ok(Box::new(PagedWriter::new(self.inner.create(path)?, path, new)))
    }

    fn create_log(&self, path: &str) -> Result<Box<dyn FileWriter>> {
        let new = self.begin(path, Shape::Frames)?;
        Ok(Box::new(FrameWriter::new(self.inner.create_log(path)?, path, new)))
    }

    fn open(&self, path: &str) -> Result<Arc<dyn FileReader>> {
        let file = self.inner.open(path)?;
        let header = read_header(&*file, path)?;
        let cipher = self.cipher(path, &header)?;
        Ok(match header.shape {
            Shape::Pages => Arc::new(PagedReader::new(file, path, cipher)),
            Shape::Frames => Arc::new(FrameReader::new(file, path, cipher)?),
        })
    }

    fn list(&self, dir: &str) -> Result<Vec<String>> {
        let mut names = self.inner.list(dir)?;
        names.retain(|name| !dir.is_empty() || name != KEYS);
        Ok(names)
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.inner.remove(path)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.inner.rename(from, to)
    }

    fn sync_dir(&self, dir: &str) -> Result<()> {
        self.inner.sync_dir(dir)
    }

    fn stamp(&self, path: &str) -> Result<Option<Stamp>> {
        self.inner.stamp(path)
    }

    fn lock(&self) -> Result<Box<dyn LockGuard>> {
        let lock = self.inner.lock()?;
        self.settle(&*lock)?;
        Ok(lock)
    }

    fn link(&self, path: &str, source: &dyn Storage) -> Result<bool> {
        let Some(source) = source.encryption().filter(|source| source.ring().id == self.ring().id) else {
            return Ok(false);
        };
        match source.key_number(path)? {
            Some(number) if self.ring().key(number).is_some() => self.inner.link(path, &*source.inner),
            _ => Ok(false),
        }
    }

    fn keeps_appends(&self) -> bool {
        self.inner.keeps_appends()
    }

    fn is_sealed(&self) -> bool {
        self.inner.is_sealed()
    }

    fn verify(&self) -> Result<()> {
        self.inner.verify()
    }

    fn cache(&self) -> Option<&Arc<Cache>> {
        self.inner.cache()
    }

    fn encryption(&self) -> Option<&EncryptedStorage> {
        Some(self)
    }

    fn stranger(&self, known: &[&str]) -> Result<Option<String>> {
        self.inner.stranger(&[known, &[KEYS]].concat())
    }
}

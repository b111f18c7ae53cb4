//! Pieces of sealed objects in a folder of the local disk, up to a number of bytes, for this process and others, now and
//! later.
//!
//! A piece belongs to one state of one object: the tag that the store gave it, which a reader asks the store for when it opens
//! the object. Its file proves itself by a hash; one that does not, or that belongs to another state, is removed and the
//! piece fetched again. So nothing here is ever the truth, and everything may go at any time: no call fails.
//! A file is written under another name and renamed, so processes that share the folder see whole ones.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_128;

use super::evict::evict;
use super::piece::{Piece, decode, encode};
use crate::common::sync::Mutex;
use crate::common::{Error, Result};

/// A piece longer than this share of the budget is not kept.
const PIECE_SHARE: u64 = 4;
/// Share of the budget that is written between two looks at what the folder holds.
const LOOK_SHARE: u64 = 16;

/// A folder of pieces.
#[derive(Debug)]
pub struct DiskCache {
    folder: PathBuf,
    budget: u64,
    /// Bytes written since the last look; nobody looked yet when there are more than the budget.
    written: Mutex<u64>,
    drafts: AtomicU64,
}

/// One state of an object, as the folder knows it.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    cache: Arc<DiskCache>,
    folder: PathBuf,
    id: u128,
    /// Length of the object.
    pub len: u64,
    /// What the store calls this state.
    pub tag: Box<str>,
}

impl DiskCache {
    /// Keeps at most `budget` bytes in `folder`, which is made when it is missing; each process that uses it may pass the
    /// budget by a sixteenth for a while. Nobody else should be able to write to it.
    ///
    /// # Errors
    /// `Io` when the folder cannot be made.
    pub fn new(folder: &Path, budget: u64) -> Result<Arc<Self>> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| Error::io("make the cache folder", folder.display().to_string(), error))?;
        let (folder, written) = (folder.to_owned(), Mutex::new(u64::MAX));
        Ok(Arc::new(Self { folder, budget, written, drafts: AtomicU64::new(0) }))
    }

    /// The object `name` of the store at `address` in the state `tag`.
    pub(super) fn object(self: &Arc<Self>, (address, name): (&str, &str), tag: &str, len: u64) -> Kept {
        let id = id_of(address, name);
        Kept { cache: Arc::clone(self), folder: self.folder_of(id), id, len, tag: tag.into() }
    }

    /// The state of an object whose first piece is here, and that piece.
    pub(super) fn newest(self: &Arc<Self>, address: &str, name: &str) -> Option<(Kept, Bytes)> {
        let id = id_of(address, name);
        let folder = self.folder_of(id);
        let Piece { bytes, tag, len } = read(&folder, id, 0)?;
        Some((Kept { cache: Arc::clone(self), folder, id, len, tag }, bytes))
    }

    /// Lets go of all pieces of an object.
    pub(super) fn forget(&self, address: &str, name: &str) {
        let _ = fs::remove_dir_all(self.folder_of(id_of(address, name)));
    }

    fn folder_of(&self, id: u128) -> PathBuf {
        self.folder.join(format!("{id:032x}"))
    }

    /// Makes room for what is about to be written, now and then.
    fn note(&self, len: u64) {
        let mut written = self.written.lock();
        *written = written.saturating_add(len);
        if *written > self.budget / LOOK_SHARE {
            evict(&self.folder, self.budget - self.budget / LOOK_SHARE * 2);
            *written = 0;
        }
    }
}

impl Kept {
    /// A piece, if it is here and whole.
    pub fn get(&self, number: u64) -> Option<Bytes> {
        let piece = read(&self.folder, self.id, number)?;
        if piece.tag == self.tag && piece.len == self.len {
            return Some(piece.bytes);
        }
        let _ = fs::remove_file(self.folder.join(number.to_string()));
        None
    }

    /// Keeps a piece, if that can be.
    pub fn put(&self, number: u64, bytes: &[u8]) {
        let file = encode(self.id, number, &Piece { bytes, tag: &self.tag, len: self.len });
        if file.len() as u64 <= self.cache.budget / PIECE_SHARE {
            self.cache.note(file.len() as u64);
            let draft = self.cache.drafts.fetch_add(1, Ordering::Relaxed);
            let draft = self.folder.join(format!("{number}.{}-{draft}.new", std::process::id()));
            if self
                .write(&draft, &file)
                .and_then(|()| fs::rename(&draft, self.folder.join(number.to_string())))
                .is_err()
            {
                let _ = fs::remove_file(draft);
            }
        }
    }

    fn write(&self, draft: &Path, file: &[u8]) -> std::io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let options = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft);
        options?.write_all(file)
    }
}

/// A piece that proves itself; a file that does not is removed. Being read makes it the one that was used last.
fn read(folder: &Path, id: u128, number: u64) -> Option<Piece<Bytes, Box<str>>> {
    let path = folder.join(number.to_string());
    let mut file = fs::File::open(&path).ok()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).ok()?;
    let piece = decode(id, number, bytes.into());
    if piece.is_some() {
        let _ = file.set_modified(SystemTime::now());
    } else {
        let _ = fs::remove_file(path);
    }
    piece
}

/// Names an object among those of all stores.
fn id_of(address: &str, name: &str) -> u128 {
    xxh3_128(format!("{address}\0{name}").as_bytes())
}

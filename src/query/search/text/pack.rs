//! One index of words as one piece of bytes: the files that tantivy makes of a segment, end to end.
//!
//! ```text
//! length of the list u64 | list (JSON: rows with text, name and length of each file) | the files, each at a multiple of 8
//! ```
//! Read in place: tantivy's views of a file are views of these bytes. Whether they are what was written is known before they
//! come here.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::buffer::Buffer;
use serde::{Deserialize, Serialize};
use tantivy::TantivyError;
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    Directory, DirectoryLock, FileHandle, Lock, OwnedBytes, WatchCallback, WatchHandle, WritePtr,
};

const ALIGNMENT: usize = 8;

/// What a pack holds.
#[derive(Debug, Serialize, Deserialize)]
struct Contents {
    texts: u64,
    files: Vec<(PathBuf, usize)>,
}

/// Files that do not change.
#[derive(Clone)]
pub(super) struct Pack {
    bytes: Buffer,
    texts: u64,
    files: Arc<HashMap<PathBuf, Range<usize>>>,
}

impl Pack {
    /// The bytes of a pack of these files, made of so many texts.
    pub(super) fn encode(texts: u64, files: &[(PathBuf, Vec<u8>)]) -> tantivy::Result<Vec<u8>> {
        let list = files.iter().map(|(name, bytes)| (name.clone(), bytes.len())).collect();
        let list = serde_json::to_vec(&Contents { texts, files: list }).map_err(io::Error::from)?;
        let mut pack = (list.len() as u64).to_le_bytes().to_vec();
        pack.extend(list);
        for (_, bytes) in files {
            pack.resize(pack.len().next_multiple_of(ALIGNMENT), 0);
            pack.extend_from_slice(bytes);
        }
        Ok(pack)
    }

    /// A pack read from its bytes.
    pub(super) fn decode(bytes: Buffer) -> tantivy::Result<Self> {
        let short = || TantivyError::InternalError("a pack of text is shorter than it says".into());
        let (length, rest) = bytes.split_first_chunk::<8>().ok_or_else(short)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| short())?;
        let list = rest.get(..length).ok_or_else(short)?;
        let contents: Contents = serde_json::from_slice(list).map_err(io::Error::from)?;
        let mut at = 8 + length;
        let mut files = HashMap::new();
        for (name, length) in contents.files {
            let start = at.next_multiple_of(ALIGNMENT);
            at = start.checked_add(length).filter(|end| *end <= bytes.len()).ok_or_else(short)?;
            files.insert(name, start..at);
        }
        Ok(Self { bytes, texts: contents.texts, files: Arc::new(files) })
    }

    /// Number of texts that it was made of.
    pub(super) fn texts(&self) -> u64 {
        self.texts
    }

    fn file(&self, path: &Path) -> Result<PackedFile, OpenReadError> {
        let range = self.files.get(path).ok_or_else(|| OpenReadError::FileDoesNotExist(path.to_owned()))?;
        Ok(PackedFile(self.bytes.slice_with_length(range.start, range.len())))
    }
}

impl fmt::Debug for Pack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pack({} files, {} bytes)", self.files.len(), self.bytes.len())
    }
}

/// One file of a pack.
#[derive(Clone, Debug)]
struct PackedFile(Buffer);

impl Deref for PackedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_slice()
    }
}

// SAFETY: a Buffer is a counted reference to memory that never changes and a fixed place in it. Moving the Buffer moves
// the reference; the bytes stay where they are as long as any reference is left.
unsafe impl stable_deref_trait::StableDeref for PackedFile {}

impl FileHandle for PackedFile {
    fn read_bytes(&self, range: Range<usize>) -> io::Result<OwnedBytes> {
        if range.start > range.end || range.end > self.0.len() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a range beyond a packed file"));
        }
        Ok(OwnedBytes::new(self.clone()).slice(range))
    }
}

fn sealed() -> io::Error {
    io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "a pack does not change")
}

impl Directory for Pack {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        Ok(Arc::new(self.file(path)?))
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        Err(DeleteError::IoError { io_error: Arc::new(sealed()), filepath: path.to_owned() })
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        Ok(self.files.contains_key(path))
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        Err(OpenWriteError::wrap_io_error(sealed(), path.to_owned()))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        Ok(self.file(path)?.to_vec())
    }

    fn atomic_write(&self, _: &Path, _: &[u8]) -> io::Result<()> {
        Err(sealed())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    fn acquire_lock(&self, _: &Lock) -> Result<DirectoryLock, LockError> {
        // What does not change need not be locked.
        Ok(DirectoryLock::from(Box::new(())))
    }

    fn watch(&self, _: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchHandle::empty())
    }
}

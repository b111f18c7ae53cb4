//! Writes one blob file: values in, a durable file out.

use crate::common::Result;
use crate::format::blob::{BlobHeader, BlobInfo, HEADER_LEN, encode_tail};
use crate::format::layout;
use crate::io::Storage;
use crate::sstable::blob::refs::{BlobRef, hash_value};
use crate::sstable::sink::SummedFile;

/// A blob file being written. Dropped unfinished, it leaves a file that no manifest names.
#[derive(Debug)]
pub struct BlobWriter {
    header: BlobHeader,
    file: SummedFile,
    values: u64,
}

impl BlobWriter {
    /// Creates the file.
    ///
    /// # Errors
    /// `Io` when the storage fails.
    pub fn create(storage: &dyn Storage, header: BlobHeader) -> Result<Self> {
        let file = storage.create(&layout::blob(header.file))?;
        let mut file = SummedFile::new(file, header.database, header.file);
        file.put(&header.encode())?;
        Ok(Self { header, file, values: 0 })
    }

    /// Bytes so far.
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        self.file.len()
    }

    /// Appends a value and tells where it lies.
    ///
    /// # Errors
    /// `Io` when the storage fails.
    pub fn append(&mut self, value: &[u8]) -> Result<BlobRef> {
        let (file, offset, len) = (self.header.file, self.file.len(), value.len() as u64);
        self.file.put(value)?;
        self.values += 1;
        Ok(BlobRef { file, offset, len, hash: hash_value(value) })
    }

    /// Makes the file durable; the caller syncs its folder.
    ///
    /// # Errors
    /// `Io` when the storage fails.
    pub fn finish(self) -> Result<BlobInfo> {
        let (header, values) = (self.header.encode(), self.values);
        let mut sealed = None;
        let bytes = |data_len: u64| data_len - HEADER_LEN as u64;
        let tail = |data_len, sums: &[u8]| {
            let (tail, hash) = encode_tail(&header, sums, data_len, values, bytes(data_len));
            sealed = Some((tail.len() as u64, hash));
            tail
        };
        let (data_len, _) = self.file.finish_with(tail)?;
        let (tail_len, hash) = sealed.unwrap_or_default();
        let len = data_len + tail_len;
        Ok(BlobInfo { file: self.header.file, len, data_len, values, bytes: bytes(data_len), hash })
    }
}

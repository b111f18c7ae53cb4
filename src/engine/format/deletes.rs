//! Deletion bitmaps: which rows of which SSTables are overwritten or deleted, in one `del/{n}.del`.
//!
//! A file holds one roaring bitmap for each SSTable it speaks of, is written once and pinned by the
//! manifest with its length and hash. `FORMAT.md`, section "Deletes", is the byte layout.

use std::collections::HashMap;

use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

use super::cursor::Cursor;
use super::hash::{Hash128, TRAILER_LEN};
use super::layout;
use crate::common::{DatabaseId, Error, FileId, Result};
use crate::io::Storage;

const MAGIC: &[u8; 8] = b"TRILDEL\0";
const VERSION: u32 = 1;

/// What the manifest says of a deletion file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DeletesInfo {
    /// Its number.
    pub file: FileId,
    /// Its length.
    pub len: u64,
    /// Hash of everything before its trailer.
    pub hash: Hash128,
}

/// Writes and syncs `del/{file}.del`; the caller syncs the folder.
///
/// # Errors
/// `Io` when the storage fails.
pub fn write(
    storage: &dyn Storage,
    database: DatabaseId,
    file: FileId,
    bitmaps: &[(FileId, &RoaringBitmap)],
) -> Result<DeletesInfo> {
    let mut bytes = encode(database, file, bitmaps)?;
    let hash = Hash128::seal(&mut bytes);
    let mut writer = storage.create(&layout::del(file))?;
    writer.append(&bytes)?;
    writer.sync()?;
    Ok(DeletesInfo { file, len: bytes.len() as u64, hash })
}

/// Reads the bitmaps of a deletion file, all of it verified first.
///
/// # Errors
/// `Corrupt` when a byte is not what was written; `Unsupported` for a newer format.
pub fn read(
    storage: &dyn Storage,
    database: DatabaseId,
    info: &DeletesInfo,
) -> Result<HashMap<FileId, RoaringBitmap>> {
    let path = layout::del(info.file);
    let reader = storage.open(&path)?;
    if reader.len() != info.len {
        let what = format!("it has {} bytes, the manifest says {}", reader.len(), info.len);
        return Err(Error::corrupt(path, reader.len().min(info.len), what));
    }
    let bytes = reader.load(0..info.len)?;
    let hash = Hash128::check_sealed(&path, &bytes)?;
    let body = &bytes[..bytes.len() - TRAILER_LEN];
    let bitmaps = decode(&path, database, info.file, body)?;
    if hash == info.hash {
        Ok(bitmaps)
    } else {
        Err(Error::corrupt(path, 0, format!("its hash is {hash}, the manifest says {}", info.hash)))
    }
}

fn encode(database: DatabaseId, file: FileId, bitmaps: &[(FileId, &RoaringBitmap)]) -> Result<Vec<u8>> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend((bitmaps.len() as u32).to_le_bytes());
    bytes.extend(database.0.to_le_bytes());
    bytes.extend(file.0.to_le_bytes());
    let mut offset = bytes.len() + bitmaps.len() * 24;
    for (sst, bitmap) in bitmaps {
        let len = bitmap.serialized_size();
        for value in [sst.0, offset as u64, len as u64] {
            bytes.extend(value.to_le_bytes());
        }
        offset += len;
    }
    for (_, bitmap) in bitmaps {
        bitmap.serialize_into(&mut bytes).map_err(|e| Error::Internal(format!("encoding a bitmap: {e}")))?;
    }
    Ok(bytes)
}

fn decode(
    path: &str,
    database: DatabaseId,
    file: FileId,
    bytes: &[u8],
) -> Result<HashMap<FileId, RoaringBitmap>> {
    let short = || Error::corrupt(path, bytes.len() as u64, "its directory runs past its end");
    let mut cursor = Cursor::new(bytes);
    if cursor.bytes(MAGIC.len()) != Some(MAGIC) {
        return Err(Error::corrupt(path, 0, "it does not begin as a deletion file"));
    }
    let version = cursor.u32().ok_or_else(short)?;
    if version != VERSION {
        let what = format!("format of {path}");
        return Err(Error::Unsupported { what, found: version.to_string(), max: VERSION.to_string() });
    }
    let count = cursor.u32().ok_or_else(short)?;
    let owner = DatabaseId(cursor.u128().ok_or_else(short)?);
    let number = FileId(cursor.u64().ok_or_else(short)?);
    if (owner, number) != (database, file) {
        let what = format!("it is file {number} of database {owner}, not {file} of {database}");
        return Err(Error::corrupt(path, 16, what));
    }
    let mut bitmaps = HashMap::new();
    for _ in 0..count {
        let sst = FileId(cursor.u64().ok_or_else(short)?);
        let start = cursor.u64().and_then(|n| usize::try_from(n).ok()).ok_or_else(short)?;
        let len = cursor.u64().and_then(|n| usize::try_from(n).ok()).ok_or_else(short)?;
        let slice = bytes.get(start..start.saturating_add(len)).ok_or_else(short)?;
        let bitmap = RoaringBitmap::deserialize_from(slice)
            .map_err(|e| Error::corrupt(path, start as u64, format!("not a bitmap: {e}")))?;
        bitmaps.insert(sst, bitmap);
    }
    Ok(bitmaps)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::common::ErrorKind;
    use crate::io::MemoryStorage;

    const DATABASE: DatabaseId = DatabaseId(0xdb);

    fn written() -> (MemoryStorage, DeletesInfo) {
        let storage = MemoryStorage::new();
        storage.create_dir("del").unwrap();
        let (few, many) = (RoaringBitmap::from([1, 7]), (0..50_000).step_by(3).collect());
        let info = write(&storage, DATABASE, FileId(5), &[(FileId(1), &few), (FileId(2), &many)]).unwrap();
        (storage, info)
    }

    fn replace(storage: &MemoryStorage, bytes: &[u8]) {
        storage.remove("del/5.del").unwrap();
        storage.create("del/5.del").unwrap().append(bytes).unwrap();
    }

    #[test]
    fn bitmaps_come_back_by_file() {
        let (storage, info) = written();
        let bitmaps = read(&storage, DATABASE, &info).unwrap();
        assert_eq!(bitmaps.len(), 2);
        assert_eq!(bitmaps[&FileId(1)], RoaringBitmap::from([1, 7]));
        assert_eq!(bitmaps[&FileId(2)].len(), 16_667);
    }

    #[test]
    fn every_flip_and_every_truncation_is_found() {
        let (storage, info) = written();
        let file = storage.open("del/5.del").unwrap();
        let good = file.read(0..info.len).unwrap().to_vec();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            replace(&storage, &bad);
            assert_eq!(read(&storage, DATABASE, &info).unwrap_err().kind(), ErrorKind::Corrupt, "byte {at}");
            replace(&storage, &good[..at]);
            assert_eq!(
                read(&storage, DATABASE, &info).unwrap_err().kind(),
                ErrorKind::Corrupt,
                "cut at {at}"
            );
        }
        println!("deletes: injected {} found {0} wrong 0 crashed 0", good.len() * 2);
    }

    #[test]
    fn another_database_or_file_is_named() {
        let (storage, info) = written();
        let error = read(&storage, DatabaseId(1), &info).unwrap_err().to_string();
        assert!(error.contains("file 5 of database"), "{error}");
        let stale = DeletesInfo { hash: Hash128(1), ..info };
        assert!(read(&storage, DATABASE, &stale).unwrap_err().to_string().contains("the manifest says"));
    }

    #[test]
    fn a_forged_seal_never_panics() {
        let bitmap = RoaringBitmap::from([1, 7]);
        let good = encode(DATABASE, FileId(5), &[(FileId(1), &bitmap)]).unwrap();
        for at in 0..good.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bad = good.clone();
                bad[at] = value;
                let _ = decode("del/5.del", DATABASE, FileId(5), &bad);
            }
        }
    }
}

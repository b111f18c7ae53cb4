//! The manifest: the whole durable state of the database in one immutable, numbered, hash-chained file.
//!
//! Every change of tables or files writes `manifest/{n+1}.mf` and then points CURRENT at it: number, length and hash.
//! So a manifest knows its own length, an edit is one atomic step, and each retained manifest is a version of the
//! database. Only the holder of the writer lock publishes. Order: data files and their folders are synced, then the manifest and its folder, then CURRENT.

use serde::{Deserialize, Serialize};

use super::history::{Retained, Tag};
use crate::common::{DatabaseId, Epoch, Error, FileId, Result, Retention, SeqNo, TableId};
use crate::format::Hash128;
use crate::format::blob::BlobInfo;
use crate::format::deletes::DeletesInfo;
use crate::format::layout;
use crate::format::sealed::{FORMAT_VERSION, PLAIN_VERSION, Sealed, seal, unseal};
use crate::format::table::TableDef;
use crate::io::{Fence, FileReader, Storage};
use crate::sstable::SstInfo;
use crate::wal::WalEnd;

const MANIFEST_MAGIC: [u8; 8] = *b"TRIMANIF";
const CURRENT_MAGIC: [u8; 8] = *b"TRICURNT";

/// The durable state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// Its number; CURRENT names the newest.
    pub number: u64,
    /// Hash of its predecessor.
    pub previous: Option<Hash128>,
    /// Which opening for writing wrote it.
    pub epoch: Epoch,
    /// The next file number.
    pub next_file: FileId,
    /// The next table id.
    pub next_table: TableId,
    /// Every commit up to here is in the files; later ones are in the log.
    pub flushed_seq: SeqNo,
    /// The oldest log file that is still needed.
    pub wal_start: Option<FileId>,
    /// Where the log ended when the database was closed cleanly.
    pub wal_sealed: Option<WalEnd>,
    /// When it was published, in milliseconds since 1970 UTC; never before its predecessor.
    #[serde(default)]
    pub clock: i64,
    /// Names of the schemas.
    pub schemas: Vec<String>,
    /// The tables.
    pub tables: Vec<TableRecord>,
    /// The files of deletion bitmaps that the tables refer to.
    pub deletes: Vec<DeletesInfo>,
    /// The oldest version that it serves: its files hold nothing newer, and the log has the rest.
    #[serde(default)]
    pub as_of: SeqNo,
    /// When that version was committed, in milliseconds since 1970 UTC.
    #[serde(default)]
    pub as_of_ms: i64,
    /// Which past versions are kept.
    #[serde(default)]
    pub retention: Retention,
    /// Names of versions.
    #[serde(default)]
    pub tags: Vec<Tag>,
    /// Earlier manifests that are kept for past versions, oldest first.
    #[serde(default)]
    pub history: Vec<Retained>,
}

/// One table in the manifest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TableRecord {
    /// What it is.
    pub def: TableDef,
    /// The next row id of a keyless table.
    pub next_row_id: u64,
    /// Its files.
    pub files: Vec<FileRecord>,
}

/// One file of a table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FileRecord {
    /// The file.
    pub sst: SstInfo,
    /// Number of its deleted rows.
    pub dead: u64,
    /// The file that holds its deletion bitmap.
    pub deletes: Option<FileId>,
    /// Its level of compaction.
    #[serde(default)]
    pub level: u8,
}

/// What CURRENT says.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Current {
    number: u64,
    len: u64,
    hash: Hash128,
}

impl Manifest {
    /// The manifest of a new database.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            number: 0,
            previous: None,
            epoch: Epoch(0),
            next_file: FileId(1),
            next_table: TableId(1),
            flushed_seq: SeqNo(0),
            wal_start: None,
            wal_sealed: None,
            clock: 0,
            schemas: vec![crate::format::table::PUBLIC_SCHEMA.to_owned()],
            tables: Vec::new(),
            deletes: Vec::new(),
            as_of: SeqNo(0),
            as_of_ms: 0,
            retention: Retention::default(),
            tags: Vec::new(),
            history: Vec::new(),
        }
    }

    /// The record of a table.
    ///
    /// # Errors
    /// `Internal`: the caller holds the table's state, so it must be here.
    pub fn table_mut(&mut self, id: TableId) -> Result<&mut TableRecord> {
        let found = self.tables.iter_mut().find(|table| table.def.id == id);
        found.ok_or_else(|| Error::Internal(format!("table {id} is not in the manifest")))
    }

    /// Forgets bitmap files that no table refers to and returns them.
    pub fn drop_unused_deletes(&mut self) -> Vec<FileId> {
        let used: Vec<FileId> =
            self.tables.iter().flat_map(|table| &table.files).filter_map(|file| file.deletes).collect();
        let (kept, unused): (Vec<_>, Vec<_>) =
            self.deletes.drain(..).partition(|info| used.contains(&info.file));
        self.deletes = kept;
        unused.into_iter().map(|info| info.file).collect()
    }

    /// Numbers of the SSTables, blob files and bitmap files that it names; of some more than once.
    pub fn files(&self) -> impl Iterator<Item = FileId> {
        let files = self.tables.iter().flat_map(|table| &table.files).map(|file| file.sst.file);
        let blobs = self.blobs().map(|blob| blob.file);
        files.chain(blobs).chain(self.deletes.iter().map(|info| info.file))
    }

    /// The blob files that its SSTables refer to; one for each that refers to it.
    pub fn blobs(&self) -> impl Iterator<Item = &BlobInfo> {
        let files = self.tables.iter().flat_map(|table| &table.files);
        files.flat_map(|file| &file.sst.blobs).map(|used| &used.blob)
    }

    /// True when a reader that knows no blob files would take cut values for whole ones.
    fn has_blobs(&self) -> bool {
        self.blobs().next().is_some()
    }

    /// Every file the manifest names, as paths.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        let files = self.tables.iter().flat_map(|table| &table.files);
        let mut paths: Vec<String> =
            files.flat_map(|file| [layout::sst(file.sst.file), layout::sum(file.sst.file)]).collect();
        paths.extend(self.deletes.iter().map(|info| layout::del(info.file)));
        paths.extend(self.blobs().map(BlobInfo::path));
        paths
    }
}

/// A manifest on disk, with what its successor must know.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its content.
    pub manifest: Manifest,
    /// The database it belongs to.
    pub database: DatabaseId,
    /// Its hash.
    pub hash: Hash128,
}

/// Reads the live manifest; `None` when the folder holds no database.
///
/// # Errors
/// `Corrupt` when CURRENT or the manifest is damaged, missing or not the one that CURRENT names; `Unsupported` for a
/// newer format.
pub fn load(storage: &dyn Storage) -> Result<Option<Stored>> {
    if !storage.list("")?.iter().any(|name| name == layout::CURRENT) {
        return Ok(None);
    }
    load_named(storage, &*storage.open(layout::CURRENT)?).map(Some)
}

/// Hash of the manifest that CURRENT names.
///
/// # Errors
/// `Corrupt`, `Unsupported`, `Io`.
pub fn named_hash(current: &dyn FileReader) -> Result<Hash128> {
    Ok(read_current(current)?.1.hash)
}

/// Reads the manifest that CURRENT, open as `current`, names.
///
/// # Errors
/// As [`load`].
pub fn load_named(storage: &dyn Storage, current: &dyn FileReader) -> Result<Stored> {
    let (header, current) = read_current(current)?;
    let path = layout::manifest(current.number);
    let bytes = match read_whole(storage, &path) {
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::corrupt(path, 0, "CURRENT names it, and it is missing"));
        }
        bytes => bytes?,
    };
    if bytes.len() as u64 != current.len {
        return Err(Error::corrupt(
            path,
            bytes.len() as u64,
            format!("CURRENT says that it has {} bytes", current.len),
        ));
    }
    let (sealed, payload, hash) = unseal(&path, MANIFEST_MAGIC, &bytes)?;
    if Hash128(hash) != current.hash || sealed.database != header.database || sealed.number != current.number
    {
        return Err(Error::corrupt(path, 0, "it is not the manifest that CURRENT names"));
    }
    Ok(Stored { manifest: parse_manifest(&path, payload)?, database: header.database, hash: current.hash })
}

fn read_current(current: &dyn FileReader) -> Result<(Sealed, Current)> {
    let bytes = current.load(0..current.len())?;
    let (header, payload, _) = unseal(layout::CURRENT, CURRENT_MAGIC, &bytes)?;
    Ok((header, parse(layout::CURRENT, payload)?))
}

/// The manifest of a number, whether CURRENT names it or not, when it proves itself.
///
/// # Errors
/// As [`load`].
pub fn load_number(storage: &dyn Storage, number: u64) -> Result<Stored> {
    let path = layout::manifest(number);
    let bytes = read_whole(storage, &path)?;
    let (sealed, payload, hash) = unseal(&path, MANIFEST_MAGIC, &bytes)?;
    let manifest = parse_manifest(&path, payload)?;
    if sealed.number != number || manifest.number != number {
        return Err(Error::corrupt(path, 32, "it is the manifest of another number"));
    }
    Ok(Stored { manifest, database: sealed.database, hash: Hash128(hash) })
}

/// A manifest that another one of the database keeps.
///
/// # Errors
/// `Corrupt` when it is damaged or another one; `Io` when it is missing.
pub fn load_retained(storage: &dyn Storage, database: DatabaseId, entry: &Retained) -> Result<Manifest> {
    let stored = load_number(storage, entry.number)?;
    if stored.hash == entry.hash && stored.database == database {
        return Ok(stored.manifest);
    }
    let what = "it is not the manifest that was kept under this number";
    Err(Error::corrupt(layout::manifest(entry.number), 0, what))
}

/// The number that CURRENT names, when it proves itself.
pub fn named_by_current(storage: &dyn Storage) -> Option<u64> {
    let bytes = read_whole(storage, layout::CURRENT).ok()?;
    let (_, payload, _) = unseal(layout::CURRENT, CURRENT_MAGIC, &bytes).ok()?;
    parse::<Current>(layout::CURRENT, payload).ok().map(|current| current.number)
}

/// Writes `manifest` as the successor of what it was made from, and makes it the live one.
///
/// # Errors
/// When the disk refuses or `fence` does. [`PublishError::Unchanged`] means that the old manifest is still the live one.
pub fn publish(
    storage: &dyn Storage,
    database: DatabaseId,
    manifest: &Manifest,
    fence: Fence<'_>,
) -> Result<Hash128, PublishError> {
    let version = if manifest.has_blobs() { FORMAT_VERSION } else { PLAIN_VERSION };
    let header = Sealed { magic: MANIFEST_MAGIC, version, database, number: manifest.number };
    let payload =
        serde_json::to_vec(manifest).map_err(|e| PublishError::Unchanged(Error::Internal(e.to_string())))?;
    let (bytes, hash) = seal(header, &payload);
    let hash = Hash128(hash);
    let name_it = || {
        let path = layout::manifest(manifest.number);
        let draft = format!("{path}.{}.new", manifest.epoch);
        storage.write_draft(&draft, &bytes)?;
        fence()?;
        storage.rename(&draft, &path)?;
        storage.sync_dir(layout::MANIFEST_DIR)
    };
    name_it().map_err(PublishError::Unchanged)?;
    let current = Current { number: manifest.number, len: bytes.len() as u64, hash };
    let payload =
        serde_json::to_vec(&current).map_err(|e| PublishError::Unchanged(Error::Internal(e.to_string())))?;
    let (bytes, _) = seal(Sealed { magic: CURRENT_MAGIC, version: PLAIN_VERSION, ..header }, &payload);
    let draft = format!("{}.{}.new", layout::CURRENT, manifest.epoch);
    storage.write_draft(&draft, &bytes).and_then(|()| fence()).map_err(PublishError::Unchanged)?;
    // Up to the rename a failure changes nothing; from here on it may have.
    storage.rename(&draft, layout::CURRENT).map_err(PublishError::Unknown)?;
    storage.sync_dir("").map_err(PublishError::Unknown)?;
    Ok(hash)
}

/// Why a manifest was not published.
#[derive(Debug)]
pub enum PublishError {
    /// The old manifest is the live one; the edit may be tried again.
    Unchanged(Error),
    /// Either may be: no more writes until the database is opened again.
    Unknown(Error),
}

fn read_whole(storage: &dyn Storage, path: &str) -> Result<arrow::buffer::Buffer> {
    let file = storage.open(path)?;
    file.load(0..file.len())
}

fn parse_manifest(path: &str, payload: &[u8]) -> Result<Manifest> {
    let mut manifest: Manifest = parse(path, payload)?;
    // One from before versions were kept does not say what it serves; it is what its files hold.
    let files = manifest.tables.iter().flat_map(|table| &table.files).map(|file| file.sst.max_seq);
    manifest.as_of = files.chain([manifest.flushed_seq, manifest.as_of]).max().unwrap_or_default();
    Ok(manifest)
}

fn parse<'a, T: Deserialize<'a>>(path: &str, payload: &'a [u8]) -> Result<T> {
    serde_json::from_slice(payload)
        .map_err(|e| Error::corrupt(path, 0, format!("its content is not understood: {e}")))
}

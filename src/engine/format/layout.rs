//! Where each file of a database lies. Names are numbers: no user-given name ever becomes a path.

use crate::common::{ColumnId, FileId};

/// Folder of the write-ahead log.
pub const WAL_DIR: &str = "wal";
/// Folder of the SSTables and their companions.
pub const SST_DIR: &str = "sst";
/// Folder of the deletion bitmaps.
pub const DEL_DIR: &str = "del";
/// Folder of the large values of SSTables.
pub const BLOB_DIR: &str = "blob";
/// Folder of what is derived from SSTables for searches.
pub const INDEX_DIR: &str = "idx";
/// Folder of the manifests.
pub const MANIFEST_DIR: &str = "manifest";
/// Space kept aside for when the disk is full; holds nothing.
pub const RESERVE: &str = "RESERVE";
/// The file that names the live manifest.
pub const CURRENT: &str = "CURRENT";
/// Every folder of a database.
pub const DIRS: [&str; 6] = [WAL_DIR, SST_DIR, DEL_DIR, BLOB_DIR, INDEX_DIR, MANIFEST_DIR];
/// The folders of numbered files that hold data.
pub const DATA_DIRS: [&str; 4] = [WAL_DIR, SST_DIR, DEL_DIR, BLOB_DIR];
/// Of those, the ones whose files manifests name.
pub const NAMED_DIRS: [&str; 3] = [SST_DIR, DEL_DIR, BLOB_DIR];

/// Path of a log file.
#[must_use]
pub fn wal(file: FileId) -> String {
    format!("{WAL_DIR}/{file}.wal")
}

/// Path of an SSTable's Arrow file.
#[must_use]
pub fn sst(file: FileId) -> String {
    format!("{SST_DIR}/{file}.arrow")
}

/// Path of an SSTable's companion.
#[must_use]
pub fn sum(file: FileId) -> String {
    format!("{SST_DIR}/{file}.sum")
}

/// Path of a file of deletion bitmaps.
#[must_use]
pub fn del(file: FileId) -> String {
    format!("{DEL_DIR}/{file}.del")
}

/// Path of a file of large values.
#[must_use]
pub fn blob(file: FileId) -> String {
    format!("{BLOB_DIR}/{file}.blob")
}

/// Path of the codes of one column of vectors of an SSTable.
#[must_use]
pub fn codes(file: FileId, column: ColumnId) -> String {
    format!("{INDEX_DIR}/{file}.{column}.codes")
}

/// Path of what is derived from one column of an SSTable in another way.
#[must_use]
pub fn derived(file: FileId, column: ColumnId, kind: &str, variant: u64) -> String {
    format!("{INDEX_DIR}/{file}.{column}.{kind}-{variant:016x}")
}

/// True for the name of such a file.
#[must_use]
pub fn is_derived(name: &str) -> bool {
    !is_draft(name) && !name.ends_with(".codes")
}

/// The SSTable, the column and the kind of a file in [`INDEX_DIR`]; `None` for a name that is not ours.
#[must_use]
pub fn parse_index(name: &str) -> Option<(FileId, ColumnId, &str)> {
    let (file, rest) = name.split_once('.')?;
    let (column, kind) = rest.split_once('.')?;
    let kind = kind.split_once('-').map_or(kind, |(kind, _)| kind);
    (!is_draft(name)).then_some((FileId(file.parse().ok()?), ColumnId(column.parse().ok()?), kind))
}

/// Name of a manifest within its folder.
#[must_use]
pub fn manifest_name(number: u64) -> String {
    format!("{number}.mf")
}

/// Path of a manifest.
#[must_use]
pub fn manifest(number: u64) -> String {
    format!("{MANIFEST_DIR}/{number}.mf")
}

/// True for the name of a manifest that creates a database. On an object store each opening counts from a multiple of
/// 2^32.
#[must_use]
pub fn is_first_manifest(name: &str) -> bool {
    name.ends_with(".mf") && file_number(name).is_some_and(|number| number.0 as u32 == 1)
}

/// True for the name of a file that was being written and means nothing yet.
#[must_use]
pub fn is_draft(name: &str) -> bool {
    name.ends_with(".new")
}

/// The number in `17.wal`, `17.arrow` and the like; `None` for a name that is not ours.
#[must_use]
pub fn file_number(name: &str) -> Option<FileId> {
    let (stem, _) = name.split_once('.')?;
    stem.parse().ok().map(FileId)
}

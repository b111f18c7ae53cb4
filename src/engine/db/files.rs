//! The files and memtables of a table, described for people.

use std::sync::Arc;

use crate::common::SeqNo;
use crate::format::layout;
use crate::format::table::TableName;
use crate::lsm::{TableFile, TableState, blob_shares};

/// One file of a table, for people.
#[derive(Clone, Debug)]
pub struct FileInfo {
    /// The table.
    pub table: TableName,
    /// Path within the database.
    pub path: String,
    /// "sst", "blob" for large values beside the rows, or "memtable" for rows that no file holds yet.
    pub kind: &'static str,
    /// Bytes on disk, or in memory for a memtable.
    pub bytes: u64,
    /// Rows in it; of large values, values.
    pub rows: u64,
    /// Rows of it that are deleted or replaced; values that no row refers to.
    pub dead_rows: u64,
    /// Oldest commit with a row in it.
    pub min_seq: SeqNo,
    /// Newest commit with a row in it.
    pub max_seq: SeqNo,
}

/// What a table consists of.
pub(super) fn table_files(table: &TableState) -> Vec<FileInfo> {
    let name = || table.def.name.clone();
    let mut files: Vec<FileInfo> = table
        .files
        .iter()
        .map(|file| FileInfo {
            table: name(),
            path: layout::sst(file.id()),
            kind: "sst",
            bytes: file.bytes(),
            rows: file.info().rows,
            dead_rows: file.dead_rows(),
            min_seq: file.info().min_seq,
            max_seq: file.max_seq(),
        })
        .collect();
    files.extend(blob_shares(&table.files).iter().map(|share| {
        let refers =
            |file: &&Arc<TableFile>| file.info().blobs.iter().any(|used| used.blob.file == share.info.file);
        let referring = || table.files.iter().filter(refers);
        FileInfo {
            table: name(),
            path: share.info.path(),
            kind: "blob",
            bytes: share.info.len,
            rows: share.info.values,
            dead_rows: share.info.values.saturating_sub(share.values),
            min_seq: referring().map(|file| file.info().min_seq).min().unwrap_or_default(),
            max_seq: referring().map(|file| file.max_seq()).max().unwrap_or_default(),
        }
    }));
    files.extend(table.memtables().filter(|memtable| !memtable.is_empty()).map(|memtable| FileInfo {
        table: name(),
        path: String::new(),
        kind: "memtable",
        bytes: memtable.bytes() as u64,
        rows: u64::from(memtable.len()),
        dead_rows: 0,
        min_seq: memtable.first_seq().unwrap_or_default(),
        max_seq: memtable.last_seq().unwrap_or_default(),
    }));
    files
}

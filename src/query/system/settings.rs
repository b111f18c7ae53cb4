//! `trilith.settings`: how the database was opened. Settings of queries are in `information_schema.df_settings`.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::error::Result;

use crate::query::connection::Pinned;

pub(super) fn describe(pinned: &Pinned) -> Result<RecordBatch> {
    let options = pinned.engine.options();
    let kept = pinned.engine.retention();
    let rows = [
        ("path", pinned.engine.path(), "Where the database is"),
        ("version", env!("CARGO_PKG_VERSION").to_owned(), "Version of this library"),
        ("durability", options.durability.name().to_owned(), "When a commit is acknowledged"),
        ("read_only", options.read_only.to_string(), "Whether writes are refused"),
        ("encrypted", pinned.engine.is_encrypted().to_string(), "Whether files are encrypted"),
        ("mmap", options.mmap.to_string(), "Whether sealed files are read through a memory map"),
        (
            "cache_bytes",
            options.cache_bytes.to_string(),
            "Bytes of columns kept of files that are not mapped",
        ),
        (
            "cache_dir",
            options.cache_dir.as_ref().map_or_else(String::new, |folder| folder.display().to_string()),
            "Folder that keeps what is read of an object store",
        ),
        ("cache_dir_bytes", options.cache_dir_bytes.to_string(), "Bytes that this folder may hold"),
        ("memtable_bytes", options.memtable_bytes.to_string(), "Bytes in memory at which a flush starts"),
        (
            "direct_append_bytes",
            options.direct_append_bytes.to_string(),
            "Bytes above which an append skips the log",
        ),
        (
            "blob_bytes",
            options.blob_bytes.to_string(),
            "Bytes above which a string or bytes lie beside the rows; 0 for never",
        ),
        (
            "transaction_bytes",
            options.transaction_bytes.to_string(),
            "Bytes that the writes of one transaction may take",
        ),
        ("batch_rows", options.batch_rows.to_string(), "Rows of one batch in a file"),
        ("retention", format!("{} ms", kept.millis), "How long past versions are kept"),
        ("retention_versions", kept.versions.to_string(), "Past versions that are kept in any case"),
        ("file_bytes", options.file_bytes.to_string(), "Bytes at which a new file is started"),
    ];
    let column = |values: Vec<String>| Arc::new(StringArray::from(values)) as ArrayRef;
    Ok(RecordBatch::try_from_iter([
        ("name", column(rows.iter().map(|(name, _, _)| (*name).to_owned()).collect())),
        ("value", column(rows.iter().map(|(_, value, _)| value.clone()).collect())),
        ("description", column(rows.iter().map(|(_, _, text)| (*text).to_owned()).collect())),
    ])?)
}

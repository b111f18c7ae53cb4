//! L3: sorted tables on disk. One SSTable is a plain Arrow IPC file and its companion (`.sum`).
//!
//! [`SstWriter`] streams sorted rows into both; [`SstReader`] answers from them and never lets a decoder
//! see a byte that was not verified. An SSTable never changes. Which of its rows are deleted, how its
//! columns map to the table's, and which snapshot may see it is decided above.

mod blob;
mod chunk;
mod columns;
mod file;
mod find;
mod footer;
mod frame;
mod info;
mod key_column;
mod keys;
mod plain;
mod reader;
mod rows;
mod sink;
mod sorted;
#[cfg(test)]
mod tests;
mod verify;
mod writer;

pub use crate::format::stats::ColumnStats;
pub use blob::{
    BlobFile, BlobRef, BlobRefs, BlobWriter, HEAD_LEN, Large, RefBuilder, StoredColumn, blob_field,
    blob_owner, cut, is_separable,
};
pub use info::{KeySpec, SstInfo};
pub use keys::RowKeys;
pub use reader::SstReader;
pub use sorted::SortedKeys;
pub use writer::{SstHeader, SstKey, SstWriter};

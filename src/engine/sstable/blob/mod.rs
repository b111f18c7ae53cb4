//! Large values beside SSTables: files of nothing but values, which rows of several SSTables may refer to.
//!
//! A column that has such values is two columns of the SSTable: the column itself, which holds the *head* of each large
//! value, and its *references*, null where the value stands in the column. Here values are written, read and put in the
//! place of their heads; which files rows still need, and when a file goes, is decided above.

mod column;
mod file;
mod refs;
mod resolve;
#[cfg(test)]
mod tests;
mod values;
mod writer;

pub use column::StoredColumn;
pub use file::BlobFile;
pub use refs::{BlobRef, BlobRefs, RefBuilder, blob_field, blob_owner};
pub(super) use resolve::blob_of;
pub use values::{HEAD_LEN, Large, cut, is_separable};
pub use writer::BlobWriter;

//! Heads become values: the only place where bytes of blob files enter a column.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::buffer::Buffer;

use super::file::BlobFile;
use super::refs::{BlobRef, BlobRefs};
use super::values::{Large, Piece, assemble};
use crate::common::{Error, Result};
use crate::format::layout;

/// `values` with those of the rows in `wanted` (all for `None`) that have a reference read by `read`.
pub(super) fn resolve(
    values: &ArrayRef,
    refs: &BlobRefs,
    read: &dyn Fn(&BlobRef) -> Result<Buffer>,
    wanted: Option<&BooleanArray>,
) -> Result<ArrayRef> {
    let large = Large::new(values)
        .ok_or_else(|| Error::Internal(format!("references beside a column of {}", values.data_type())))?;
    let piece = |row: usize| match refs.get(row) {
        Some(value) if wanted.is_none_or(|wanted| wanted.value(row)) => Ok(Some(Piece::Whole(read(&value)?))),
        _ => Ok(large.value(row).map(Piece::Here)),
    };
    assemble(values, (0..values.len()).map(piece).collect::<Result<_>>()?)
}

/// The file that a value lies in.
pub(in crate::sstable) fn blob_of<'a>(
    blobs: &'a [Arc<BlobFile>],
    value: &BlobRef,
) -> Result<&'a Arc<BlobFile>> {
    blobs.iter().find(|blob| blob.info().file == value.file).ok_or_else(|| {
        let what = "rows refer to it, and the manifest does not name it beside their file";
        Error::corrupt(layout::blob(value.file), value.offset, what)
    })
}

//! A column as an SSTable stores it: values, of large ones the heads, and where these lie.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::buffer::Buffer;
use arrow::compute::filter;

use super::file::BlobFile;
use super::refs::{BlobRef, BlobRefs};
use super::resolve::{blob_of, resolve};
use super::values::Large;
use crate::common::{Error, Result};

/// A column of which some values may be heads only. What leaves the engine is resolved.
#[derive(Clone, Debug)]
pub struct StoredColumn {
    /// Values; heads where there is a reference.
    pub values: ArrayRef,
    /// References, null for values that stand in `values`; `None` when all do.
    pub refs: Option<ArrayRef>,
}

impl StoredColumn {
    /// A column without references.
    #[must_use]
    pub fn plain(values: ArrayRef) -> Self {
        Self { values, refs: None }
    }

    /// Its references, if a row has one.
    ///
    /// # Errors
    /// `Internal` when they are none.
    pub fn refs(&self) -> Result<Option<BlobRefs>> {
        let refs = self.refs.as_ref().map(BlobRefs::new).transpose()?;
        Ok(refs.filter(|refs| !refs.is_empty()))
    }

    /// The rows of a mask.
    ///
    /// # Errors
    /// When the mask has another length.
    pub fn filter(&self, rows: &BooleanArray) -> Result<Self> {
        let refs = self.refs.as_ref().map(|refs| filter(refs, rows)).transpose()?;
        Ok(Self { values: filter(&self.values, rows)?, refs })
    }

    /// `len` rows from `start` on.
    #[must_use]
    pub fn slice(&self, start: usize, len: usize) -> Self {
        let refs = self.refs.as_ref().map(|refs| refs.slice(start, len));
        Self { values: self.values.slice(start, len), refs }
    }

    /// The values, large ones read from `blobs`. Rows outside `wanted` (none for `None`) may be heads still.
    ///
    /// # Errors
    /// `Corrupt` or `Io` when a value cannot be read.
    pub fn resolve(&self, blobs: &[Arc<BlobFile>], wanted: Option<&BooleanArray>) -> Result<ArrayRef> {
        self.resolve_by(&|value| blob_of(blobs, value)?.read(value), wanted)
    }

    /// As [`StoredColumn::resolve`], large values read by `read`.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn resolve_by(
        &self,
        read: &dyn Fn(&BlobRef) -> Result<Buffer>,
        wanted: Option<&BooleanArray>,
    ) -> Result<ArrayRef> {
        match self.refs()? {
            Some(refs) => resolve(&self.values, &refs, read, wanted),
            None => Ok(Arc::clone(&self.values)),
        }
    }

    /// Length of a value, and its bytes in `range`, cut at its end; `None` for a null. Nothing else of it is read.
    ///
    /// # Errors
    /// `Corrupt` or `Io` when they cannot be read.
    pub fn part(
        &self,
        row: usize,
        range: Range<u64>,
        blobs: &[Arc<BlobFile>],
    ) -> Result<Option<(u64, Buffer)>> {
        let cut = |len: u64| range.start.min(len)..range.end.min(len);
        if let Some(value) = self.refs()?.and_then(|refs| refs.get(row)) {
            let range = cut(value.len);
            let bytes = blob_of(blobs, &value)?.read_range(&value, range.start, range.end - range.start)?;
            return Ok(Some((value.len, bytes)));
        }
        let cells = Large::new(&self.values)
            .ok_or_else(|| Error::Internal(format!("a range of {}", self.values.data_type())))?;
        Ok(cells.value(row).map(|value| {
            let range = cut(value.len() as u64);
            let bytes = &value[range.start as usize..range.end as usize];
            (value.len() as u64, Buffer::from(bytes))
        }))
    }
}

//! One table as of a snapshot: what it is, and the parts of a scan. Reads by key stand in `get` and `range`.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use arrow::datatypes::SchemaRef;
use roaring::RoaringBitmap;

use super::scan::ScanPart;
use super::transaction::Reads;
use crate::common::{Result, SeqNo};
use crate::format::key::KeyCodec;
use crate::format::table::TableDef;
use crate::lsm::{Expiry, KeyRange, Masks, TableState};

/// A table that does not change.
#[derive(Clone, Debug)]
pub struct TableView {
    pub(super) inner: Arc<Inner>,
    /// Where a serializable transaction notes what is read.
    pub(super) reads: Option<Arc<Reads>>,
    /// The keys that scans are asked for.
    range: KeyRange,
    /// Which rows have expired.
    pub(super) expiry: Option<Expiry>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) table: Arc<TableState>,
    seq: SeqNo,
    pub(super) limits: Vec<u32>,
    masks: OnceLock<Arc<Masks>>,
}

impl TableView {
    pub(super) fn new(table: Arc<TableState>, seq: SeqNo) -> Self {
        let limits = table.limits(seq);
        let inner = Inner { table, seq, limits, masks: OnceLock::new() };
        Self { inner: Arc::new(inner), reads: None, range: KeyRange::ALL, expiry: None }
    }

    /// The same without the rows that have expired at `time`, in milliseconds since 1970.
    pub(super) fn at(self, time: i64) -> Self {
        let expiry = Expiry::of(self.def(), time);
        Self { expiry, ..self }
    }

    /// The same, noting in `reads` what is read of it.
    pub(super) fn tracked(self, reads: Option<Arc<Reads>>) -> Self {
        Self { reads, ..self }
    }

    /// The same for a reader that needs no keys but those of `range`. Scans may return others, which the reader passes
    /// over; a serializable transaction takes only these for read.
    #[must_use]
    pub fn within(&self, range: KeyRange) -> Self {
        Self { range, ..self.clone() }
    }

    /// What the table is.
    #[must_use]
    pub fn def(&self) -> &Arc<TableDef> {
        &self.inner.table.def
    }

    /// Its columns.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.def().schema()
    }

    /// The commit it is as of.
    #[must_use]
    pub fn seq(&self) -> SeqNo {
        self.inner.seq
    }

    /// Exact number of rows.
    ///
    /// # Errors
    /// When a file that newer rows may hide rows of cannot be read.
    pub fn row_count(&self) -> Result<u64> {
        Ok(self.parts()?.iter().map(ScanPart::rows).sum())
    }

    /// Encodes this table's keys.
    ///
    /// # Errors
    /// `Invalid` when the table has no primary key.
    pub fn codec(&self) -> Result<&KeyCodec> {
        self.def().key_codec()
    }

    /// The live rows as parts that can be read independently: each row is in exactly one.
    ///
    /// # Errors
    /// When a file that newer rows may hide rows of cannot be read.
    pub fn parts(&self) -> Result<Vec<ScanPart>> {
        if let Some(reads) = &self.reads {
            reads.range(self.def(), &self.range);
        }
        let masks = self.masks()?;
        let table = &self.inner.table;
        let mut parts = Vec::new();
        for (file, hidden) in table.files.iter().zip(&masks.files) {
            let hidden = self.with_expired(hidden, |expiry| expiry.in_file(&table.def, file))?;
            parts.push(ScanPart::file(Arc::clone(&table.def), Arc::clone(file), &hidden)?);
        }
        for ((memtable, &limit), hidden) in table.memtables().zip(&self.inner.limits).zip(&masks.memtables) {
            let hidden = self.with_expired(hidden, |expiry| expiry.in_memtable(memtable, limit))?;
            parts.extend(ScanPart::memtable(Arc::clone(&table.def), memtable, limit, &hidden)?);
        }
        parts.retain(|part| part.rows() > 0);
        Ok(parts)
    }

    fn with_expired<'a>(
        &self,
        hidden: &'a RoaringBitmap,
        expired: impl FnOnce(&Expiry) -> Result<RoaringBitmap>,
    ) -> Result<Cow<'a, RoaringBitmap>> {
        Ok(match &self.expiry {
            Some(expiry) => Cow::Owned(hidden | expired(expiry)?),
            None => Cow::Borrowed(hidden),
        })
    }

    pub(super) fn note_key(&self, key: &[u8]) {
        if let Some(reads) = &self.reads {
            reads.key(self.def(), key);
        }
    }

    fn masks(&self) -> Result<&Arc<Masks>> {
        if let Some(masks) = self.inner.masks.get() {
            return Ok(masks);
        }
        let masks = self.inner.table.masks(&self.inner.limits)?;
        Ok(self.inner.masks.get_or_init(|| masks))
    }
}

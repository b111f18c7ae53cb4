//! The files of the version: carried over whole, in part, or declared lost.

use std::collections::HashMap;
use std::sync::Arc;

use roaring::RoaringBitmap;

use super::report::{Loss, LossKind, RepairReport};
use super::salvage::{Part, salvage};
use crate::common::{DatabaseId, FileId, Result};
use crate::db::backup::{Copier, CopyMode, Target};
use crate::db::manifest::{FileRecord, Manifest};
use crate::format::deletes;
use crate::format::layout;
use crate::format::table::TableDef;
use crate::io::Storage;
use crate::lsm::FileNumbers;
use crate::sstable::SstInfo;

type Bitmaps = HashMap<FileId, std::result::Result<HashMap<FileId, RoaringBitmap>, String>>;

/// Where files come from and go to.
struct Carrier<'a> {
    source: &'a Arc<dyn Storage>,
    target: &'a Target,
    database: DatabaseId,
    numbers: &'a FileNumbers,
    copier: Copier<'a>,
    bitmaps: Bitmaps,
}

/// Brings the files of every table over and leaves in `manifest` those that came.
pub(super) fn carry(
    source: &Arc<dyn Storage>,
    target: &Target,
    manifest: &mut Manifest,
    numbers: &FileNumbers,
    report: &mut RepairReport,
    progress: &mut dyn FnMut(&str) -> Result<()>,
) -> Result<()> {
    let database = target.database();
    let copier = Copier::new(Arc::clone(source), target.storage(), database, CopyMode::Copy);
    let mut bitmaps = Bitmaps::new();
    for info in &manifest.deletes {
        report.seen.insert(info.file);
        let read = deletes::read(&**source, database, info).map_err(|error| error.to_string());
        bitmaps.insert(info.file, read);
    }
    let mut carrier = Carrier { source, target, database, numbers, copier, bitmaps };
    for table in &mut manifest.tables {
        let def = table.def.clone().derive();
        let mut files = Vec::with_capacity(table.files.len());
        for file in std::mem::take(&mut table.files) {
            report.seen.insert(file.sst.file);
            progress(&layout::sst(file.sst.file))?;
            files.extend(carrier.file(&def, file, report)?);
        }
        table.files = files;
    }
    manifest.drop_unused_deletes();
    for info in &manifest.deletes {
        carrier.copier.deletes(info)?;
    }
    carrier.copier.drop_unused_blobs(manifest)?;
    carrier.copier.sync()
}

impl Carrier<'_> {
    fn file(
        &mut self,
        def: &TableDef,
        file: FileRecord,
        report: &mut RepairReport,
    ) -> Result<Option<FileRecord>> {
        let live = file.sst.rows.saturating_sub(file.dead);
        let dead = match self.dead_rows(&file) {
            Ok(dead) => dead,
            Err((path, why)) => {
                report.losses.push(all_rows(def, &file.sst, live, path, why));
                return Ok(None);
            }
        };
        let mut whole = self.copier.table_file(&file.sst, &mut |_| Ok(()));
        for used in &file.sst.blobs {
            report.seen.insert(used.blob.file);
            whole = whole.and_then(|()| self.copier.blob_file(&used.blob, &mut |_| Ok(())));
        }
        match whole {
            Ok(()) => {
                report.whole_files += 1;
                report.rows += live;
                Ok(Some(file))
            }
            Err(_) => self.salvaged(def, &file.sst, &dead, report),
        }
    }

    /// The deleted rows of a file, or which file does not tell and why.
    fn dead_rows(&self, file: &FileRecord) -> std::result::Result<RoaringBitmap, (String, String)> {
        let Some(stored) = file.deletes else { return Ok(RoaringBitmap::new()) };
        let lost = |why: String| {
            let what = format!("{why}; without it live rows cannot be told from deleted ones");
            (layout::del(stored), what)
        };
        let bitmap = match self.bitmaps.get(&stored) {
            Some(Ok(bitmaps)) => bitmaps.get(&file.sst.file).cloned().unwrap_or_default(),
            Some(Err(why)) => return Err(lost(why.clone())),
            None => return Err(lost("the manifest does not describe it".to_owned())),
        };
        if bitmap.len() != file.dead || bitmap.max().is_some_and(|row| u64::from(row) >= file.sst.rows) {
            return Err(lost("it does not hold the deleted rows that the manifest counts".to_owned()));
        }
        Ok(bitmap)
    }

    /// The batches of a damaged file that still prove themselves, as a file of their own.
    fn salvaged(
        &mut self,
        def: &TableDef,
        info: &SstInfo,
        dead: &RoaringBitmap,
        report: &mut RepairReport,
    ) -> Result<Option<FileRecord>> {
        for path in [layout::sst(info.file), layout::sum(info.file)] {
            self.target.storage().remove(&path)?;
        }
        let parts = match salvage(&**self.source, self.database, def, info) {
            Ok(parts) => parts,
            Err(error) => {
                let live = info.rows - dead.len();
                let path = layout::sst(info.file);
                report.losses.push(all_rows(def, info, live, path, error.to_string()));
                return Ok(None);
            }
        };
        let kept =
            parts.write(self.target.shared(), self.database, self.numbers, dead, &mut |part: Part| {
                report.losses.push(part.loss(def, info));
            })?;
        let Some(sst) = kept else { return Ok(None) };
        report.salvaged_files += 1;
        report.rows += sst.rows;
        Ok(Some(FileRecord { sst, dead: 0, deletes: None, level: 0 }))
    }
}

fn all_rows(def: &TableDef, info: &SstInfo, live: u64, path: String, why: String) -> Loss {
    Part { live, first: info.min_key.clone(), last: info.max_key.clone(), why }.loss_in(def, info, path)
}

impl Part {
    /// The loss of this part of a file.
    pub(super) fn loss(self, def: &TableDef, info: &SstInfo) -> Loss {
        self.loss_in(def, info, layout::sst(info.file))
    }

    fn loss_in(self, def: &TableDef, info: &SstInfo, path: String) -> Loss {
        let codec = def.key_codec().ok();
        let shown = |key: &[u8]| match (codec, <[u8; 8]>::try_from(key)) {
            (Some(codec), _) => codec.display(key),
            (None, Ok(id)) => format!("row id {}", u64::from_be_bytes(id)),
            (None, Err(_)) => "unknown".to_owned(),
        };
        Loss {
            table: Some(def.name.to_string()),
            rows: Some(self.live),
            keys: Some((shown(&self.first), shown(&self.last))),
            encoded_keys: Some((self.first, self.last)),
            ..Loss::new(
                LossKind::Rows,
                path,
                format!("{} (of commits {} to {})", self.why, info.min_seq, info.max_seq),
            )
        }
    }
}

//! One version of a database, held still while it is copied.

use std::sync::Arc;

use super::CopyMode;
use super::copy::Copier;
use super::target::Target;
use crate::common::{DatabaseId, Error, FileId, Result, Retention, SeqNo};
use crate::db::core::Core;
use crate::db::maintenance::record_files;
use crate::db::manifest::{Manifest, Stored};
use crate::db::recovery::recover;
use crate::format::deletes;
use crate::io::Storage;
use crate::lsm::{FileNumbers, KnownBlobs, Output, Published, State, TableFile, TableState, flush_memtable};

/// Distance between the numbers of a database's files and of those that a backup writes itself: the database goes on
/// giving out numbers, 2^32 with each opening, and the next backup into the folder must not meet one of them with another
/// content.
const OWN_NUMBERS: u64 = 1 << 56;

/// What a backup will hold. Its deletion bitmaps are in the target already; its SSTables stay while it lives.
pub(super) struct Captured<'a> {
    pub(super) manifest: Manifest,
    pub(super) copier: Copier<'a>,
    pub(super) seq: SeqNo,
    /// Keeps the SSTables on the disk.
    pub(super) _pinned: Arc<State>,
}

/// The newest version of a database that this process writes to: everything committed so far is flushed first.
pub(super) fn live<'a>(core: &Core, target: &'a Target, mode: CopyMode) -> Result<Captured<'a>> {
    let mut live = core.maintenance.lock();
    core.check_writable()?;
    let seq = {
        let mut writer = core.writer.lock();
        core.freeze(&mut writer)?;
        writer.seq
    };
    core.flush_frozen_in(&mut live)?;
    let mut manifest = live.manifest.clone();
    // Flushing goes on at once; a bitmap that it replaces is removed, so they are copied before it may.
    let mut copier = Copier::new(Arc::clone(&core.storage), target.storage(), core.database, mode);
    copy_deletes(&manifest, target, &mut copier)?;
    let pinned = Arc::clone(&core.published.load().state);
    drop(live);
    forget_log(&mut manifest, FileId(0));
    forget_past(&mut manifest, seq, &pinned);
    Ok(Captured { manifest, copier, seq, _pinned: pinned })
}

/// The version of a database that is only read here. What its log holds is written to files of the backup's own.
pub(super) fn at_rest<'a>(
    source: &Arc<dyn Storage>,
    stored: Stored,
    target: &'a Target,
    mode: CopyMode,
) -> Result<Captured<'a>> {
    let Stored { manifest, database, .. } = stored;
    let recovered = recover(source, database, &manifest, None, &|| Ok(()))?;
    let state = Arc::new(recovered.state);
    of_tables(source, database, manifest, &Published::new(state, recovered.seq), target, mode)
}

/// A past version of a database, whether it is written to or not.
pub(super) fn past<'a>(
    core: &Core,
    version: SeqNo,
    target: &'a Target,
    mode: CopyMode,
) -> Result<Captured<'a>> {
    let (manifest, published) = core.looking(|| core.rebuilt(version))?;
    of_tables(&core.storage, core.database, manifest, &published, target, mode)
}

/// The tables of `manifest` with what their memtables hold beside its files.
fn of_tables<'a>(
    source: &Arc<dyn Storage>,
    database: DatabaseId,
    mut manifest: Manifest,
    tables: &Published,
    target: &'a Target,
    mode: CopyMode,
) -> Result<Captured<'a>> {
    let before = target.before().map_or(FileId(0), |before| before.next_file);
    let taken = before.max(manifest.next_file);
    let apart = FileId(manifest.next_file.0.saturating_add(OWN_NUMBERS));
    let own = apart.max(before).max(target.greatest_file()?.next());
    let numbers = FileNumbers::new(own);
    let has_rows = tables.state.memtable_bytes() > 0;
    for table in tables.state.tables.values() {
        flush(table, target, database, &numbers, &mut manifest)?;
    }
    let mut copier = Copier::new(Arc::clone(source), target.storage(), database, mode);
    let unused = manifest.drop_unused_deletes();
    copy_deletes(&manifest, target, &mut copier)?;
    if has_rows || !unused.is_empty() {
        manifest.next_file = numbers.peek();
    }
    forget_log(&mut manifest, taken);
    forget_past(&mut manifest, tables.seq(), &tables.state);
    Ok(Captured { manifest, copier, seq: tables.seq(), _pinned: Arc::clone(&tables.state) })
}

/// Writes the rows of a table's memtable into the target, as a flush does.
fn flush(
    table: &Arc<TableState>,
    target: &Target,
    database: DatabaseId,
    numbers: &FileNumbers,
    manifest: &mut Manifest,
) -> Result<()> {
    let frozen = table.freeze();
    let Some(memtable) = frozen.frozen.first() else { return Ok(()) };
    let range = (memtable.first_seq().unwrap_or_default(), memtable.last_seq().unwrap_or_default());
    let sizes = crate::common::Options::default();
    // Large values stay in the rows: a single file takes one file after another.
    let output = Output::new(
        Arc::clone(target.shared()),
        database,
        numbers.clone(),
        Arc::clone(&frozen.def),
        (sizes.batch_rows, sizes.file_bytes),
        range,
    );
    let written = flush_memtable(&frozen, output)?;
    let mut files: Vec<Arc<TableFile>> = frozen.files.to_vec();
    let mut bitmaps = Vec::new();
    for (position, bitmap) in written.deletes {
        bitmaps.push((position, files[position].id(), bitmap));
    }
    if !bitmaps.is_empty() {
        let listed: Vec<_> = bitmaps.iter().map(|(_, file, bitmap)| (*file, bitmap)).collect();
        let info = deletes::write(target.storage(), database, numbers.take(), &listed)?;
        manifest.deletes.push(info);
        for (position, _, bitmap) in bitmaps {
            files[position] = Arc::new(files[position].with_bitmap(bitmap).stored_in(info));
        }
    }
    let key = crate::db::maintenance::key_spec(&frozen.def)?;
    let mut known = KnownBlobs::default();
    files.extend(written.files.into_iter().map(|info| {
        let storage = Arc::clone(target.shared());
        Arc::new(TableFile::new(storage, database, info, key.clone(), &mut known))
    }));
    files.retain(|file| file.live_rows() > 0);
    let next_row_id = frozen.next_row_id.load(std::sync::atomic::Ordering::Relaxed);
    record_files(manifest, frozen.def.id, &files, next_row_id)
}

fn copy_deletes(manifest: &Manifest, target: &Target, copier: &mut Copier<'_>) -> Result<()> {
    for info in &manifest.deletes {
        check_free(target, info.file, |before| before.deletes.iter().any(|held| held == info))?;
        copier.deletes(info)?;
    }
    for blob in manifest.blobs() {
        check_free(target, blob.file, |before| before.blobs().any(|held| held == blob))?;
    }
    for file in manifest.tables.iter().flat_map(|table| &table.files) {
        let same = |before: &Manifest| {
            let mut held = before.tables.iter().flat_map(|table| &table.files);
            held.any(|held| held.sst.file == file.sst.file && held.sst.sum_hash == file.sst.sum_hash)
        };
        check_free(target, file.sst.file, same)?;
    }
    Ok(())
}

/// Refuses to overwrite a file that the backup in the folder needs and that is another one than ours of that number.
fn check_free(target: &Target, file: FileId, is_same: impl Fn(&Manifest) -> bool) -> Result<()> {
    let Some(before) = target.before() else { return Ok(()) };
    let taken = before.files().any(|held| held == file);
    if !taken || is_same(before) {
        return Ok(());
    }
    Err(Error::invalid(
        format!("{:?}", target.storage().describe()),
        "the backup in it was written to since, or is of another branch of this database; give a new folder",
    ))
}

/// A backup is one version, and keeps none from before it.
fn forget_past(manifest: &mut Manifest, seq: SeqNo, state: &State) {
    manifest.serve_from(seq, &state.times);
    manifest.flushed_seq = manifest.flushed_seq.max(seq);
    manifest.retention = Retention::default();
    manifest.tags.clear();
    manifest.history.clear();
}

/// A backup has no log: the next one starts behind every number given out.
fn forget_log(manifest: &mut Manifest, taken: FileId) {
    manifest.next_file = manifest.next_file.max(taken);
    manifest.wal_start = Some(manifest.next_file);
    manifest.wal_sealed = None;
}

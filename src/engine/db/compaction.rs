//! Compaction at work: asks the strategy of each table, merges outside every lock, and publishes one manifest.
//!
//! A merge that was cancelled, or whose table was dropped or changed meanwhile, never publishes: whether it still
//! may is decided under the lock that publishes. Its files are removed at once.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::core::Core;
use super::jobs::{CompactionInfo, Job, Stop};
use super::maintenance::{drop_dead, record_files};
use super::manifest::Manifest;
use crate::common::{Error, Figure, FileId, Result, SeqNo, TableId, record_duration, sync};
use crate::format::table::TableDef;
use crate::lsm::compaction::{BOTTOM, Choice, Compacted, FileShape, Reason, Sizes, choose, compact_files};
use crate::lsm::{BlobPlan, Expiry, TableFile, TableState, blob_shares, mostly_garbage, worst};

/// Files that one merge reads, in full files, where a smaller choice is to be had.
const JOB_FILES: u64 = 16;
/// Longest sleep for the sake of the byte rate before a merge looks whether it is still wanted.
const NAP: Duration = Duration::from_millis(20);

/// A table, and those of its files to merge.
struct Due {
    table: Arc<TableState>,
    inputs: Vec<Arc<TableFile>>,
    level: u8,
    reason: Reason,
    /// Blob files to be given up.
    moved: HashSet<FileId>,
}

impl Due {
    /// The inputs let go of the blob files in `moved`, and of all that are mostly garbage.
    fn new(table: &Arc<TableState>, choice: &Choice, moved: &HashSet<FileId>) -> Self {
        let inputs = choice.inputs.iter().map(|&i| Arc::clone(&table.files[i])).collect();
        let moved = moved | &mostly_garbage(&blob_shares(&table.files));
        Self { table: Arc::clone(table), inputs, level: choice.level, reason: choice.reason, moved }
    }

    fn info(&self) -> CompactionInfo {
        CompactionInfo {
            id: 0,
            table: self.table.def.name.clone(),
            reason: self.reason.name(),
            state: "running",
            level: self.level,
            files_in: self.inputs.len() as u64,
            bytes_in: self.inputs.iter().map(|file| file.bytes()).sum(),
            files_out: 0,
            bytes_out: 0,
            started: SystemTime::now(),
            duration: Duration::ZERO,
            error: None,
        }
    }
}

impl Core {
    /// Merges files until every strategy is content. True when it did anything.
    pub fn compact_where_due(&self) -> Result<bool> {
        let mut worked = false;
        while let Some((due, job)) = self.next_compaction() {
            worked |= self.carry_out(&due, job)?.is_none();
        }
        Ok(worked)
    }

    fn next_compaction(&self) -> Option<(Due, Job<'_>)> {
        let state = Arc::clone(&self.published.load().state);
        state.tables.values().find_map(|table| {
            // What is due is decided with the claim: a merge that ended before it took files away.
            let job = self.jobs.try_claim(table.def.id)?;
            Some((self.due(table.def.id)?, job))
        })
    }

    /// What the strategy of a table wants to be merged next.
    fn due(&self, id: TableId) -> Option<Due> {
        let state = Arc::clone(&self.published.load().state);
        let table = state.table_by_id(id)?;
        let shapes = shapes(table, self.now());
        match choose(table.def.options.compaction, &shapes, self.sizes()) {
            Some(choice) => Some(Due::new(table, &choice, &HashSet::new())),
            None => Self::collection(table, &shapes),
        }
    }

    /// A file of the table that keeps the blob file alive of which too little is needed.
    fn collection(table: &Arc<TableState>, shapes: &[FileShape<'_>]) -> Option<Due> {
        let worst = worst(&blob_shares(&table.files))?;
        let refers = |i: &usize| table.files[*i].blobs().iter().any(|blob| blob.info().file == worst);
        let at = (0..shapes.len()).find(|i| shapes[*i].settled && refers(i))?;
        let choice = Choice { inputs: vec![at], level: shapes[at].level, reason: Reason::Blobs };
        Some(Due::new(table, &choice, &HashSet::from([worst])))
    }

    fn sizes(&self) -> Sizes {
        let file = self.options.file_bytes as u64;
        Sizes { file, job: file * JOB_FILES }
    }

    /// Bytes of files that the strategy would merge next.
    pub fn compaction_debt(&self, table: &TableState) -> u64 {
        let choice = choose(table.def.options.compaction, &shapes(table, self.now()), self.sizes());
        choice.map_or(0, |choice| choice.inputs.iter().map(|&i| table.files[i].bytes()).sum())
    }

    /// Merges all of a table's settled files into one sorted run.
    pub fn compact_table(&self, id: TableId) -> Result<()> {
        let all = |files: &[FileShape<'_>]| {
            let inputs: Vec<usize> = (0..files.len()).filter(|&i| files[i].settled).collect();
            let is_clean = |i: &usize| files[*i].dead == 0 && files[*i].level == BOTTOM;
            let is_done = inputs.is_empty() || (inputs.len() == 1 && inputs.iter().all(is_clean));
            (!is_done).then_some((inputs, BOTTOM))
        };
        self.compact_at_once(id, &HashSet::new(), |table| all(&shapes(table, self.now()))).map(drop)
    }

    /// Rewrites one file of a table without its dead rows and without what it needs of the blob files `moved`, at its level.
    /// False when it is no longer there.
    pub fn rewrite(&self, id: TableId, file: FileId, moved: &HashSet<FileId>) -> Result<bool> {
        self.compact_at_once(id, moved, |table| {
            let at = table.files.iter().position(|other| other.id() == file)?;
            shapes(table, self.now())[at].settled.then(|| (vec![at], table.files[at].level()))
        })
    }

    /// Merges what `choose` says, files and new level, once it is the table's turn; false when it says nothing.
    fn compact_at_once(
        &self,
        id: TableId,
        moved: &HashSet<FileId>,
        choose: impl Fn(&TableState) -> Option<(Vec<usize>, u8)>,
    ) -> Result<bool> {
        loop {
            let job = self.jobs.claim(id);
            let state = Arc::clone(&self.published.load().state);
            let Some(table) = state.table_by_id(id) else { return Ok(false) };
            let Some((inputs, level)) = choose(table) else { return Ok(false) };
            let choice = Choice { inputs, level, reason: Reason::Manual };
            match self.carry_out(&Due::new(table, &choice, moved), job)? {
                None => return Ok(true),
                Some(Stop::Outdated) => {}
                Some(Stop::CalledOff) => {
                    self.check_writable()?;
                    return Err(Error::Conflict { table: table.def.name.to_string() });
                }
            }
        }
    }

    /// Merges what is due, unless something stops it.
    fn carry_out(&self, due: &Due, job: Job<'_>) -> Result<Option<Stop>> {
        self.check_writable()?;
        job.begin(due.info());
        let outcome = self.merge(due, &job);
        let stop = job.stop().filter(|_| outcome.is_err());
        if outcome.is_err() && stop.is_none() {
            self.figures.add(Figure::MaintenanceFailures, 1);
        }
        job.end(&outcome);
        match stop {
            None => outcome.map(|_| None),
            stop => Ok(stop),
        }
    }

    fn merge(&self, due: &Due, job: &Job<'_>) -> Result<u64> {
        let min = due.inputs.iter().map(|file| file.info().min_seq).min().unwrap_or_default();
        let max = due.inputs.iter().map(|file| file.max_seq()).max().unwrap_or_default();
        self.may_go_on(due, job)?;
        let start = sync::now();
        let mut step = |bytes| {
            job.wrote(bytes);
            self.may_go_on(due, job)?;
            self.keep_pace(bytes, due, job)
        };
        let expiry = Expiry::of(&due.table.def, self.now());
        let (def, moved) = (&due.table.def, due.moved.clone());
        let blobs = BlobPlan::merge(self.options.blob_bytes, def, &due.inputs, moved)?;
        let output = self.output(&due.table, (min, max)).separating(blobs);
        let compacted = compact_files(&due.table.def, due.inputs.clone(), expiry, output, &mut step)?;
        let bytes_out = self.new_bytes(&compacted.files);
        let written = self.new_files(&compacted.files);
        self.store_derived(&due.table, &compacted.files);
        let published = self.publish_compacted(due, job, compacted);
        if published.is_err() {
            self.forget_files(&written);
        } else {
            self.forget_unnamed(&written);
            self.note_compacted(due, bytes_out, sync::now() - start);
        }
        published
    }

    fn note_compacted(&self, due: &Due, bytes_out: u64, took: Duration) {
        let bytes_in = due.inputs.iter().map(|file| file.bytes()).sum();
        self.figures.add(Figure::Compactions, 1);
        self.figures.add(Figure::CompactedBytesIn, bytes_in);
        self.figures.add(Figure::CompactedBytesOut, bytes_out);
        record_duration("trilith_compaction_seconds", took);
        let (table, reason) = (&due.table.def.name, due.reason.name());
        tracing::debug!(%table, reason, bytes_in, bytes_out, ?took, "compacted");
    }

    /// Fails when nobody wants the result any more.
    fn may_go_on(&self, due: &Due, job: &Job<'_>) -> Result<()> {
        self.check_writable()?;
        if !self.is_unchanged(&due.table.def) {
            job.outdate();
        }
        match job.stop() {
            None => Ok(()),
            Some(_) => Err(Error::Conflict { table: due.table.def.name.to_string() }),
        }
    }

    /// True while there is such a table, with the same columns and the same rows that expire.
    fn is_unchanged(&self, def: &TableDef) -> bool {
        let same = |now: &TableDef| now.version == def.version && now.options.ttl == def.options.ttl;
        self.published.load().state.table_by_id(def.id).is_some_and(|table| same(&table.def))
    }

    fn keep_pace(&self, bytes: u64, due: &Due, job: &Job<'_>) -> Result<()> {
        let now = sync::now();
        let until = now + self.pace.admit(bytes, now);
        while let Some(left) = until.checked_duration_since(sync::now()).filter(|left| !left.is_zero()) {
            sync::sleep(left.min(NAP));
            self.may_go_on(due, job)?;
        }
        Ok(())
    }

    fn publish_compacted(&self, due: &Due, job: &Job<'_>, mut compacted: Compacted) -> Result<u64> {
        let id = due.table.def.id;
        let mut outputs = self.open_files(&due.table.def, compacted.files.clone(), &due.inputs)?;
        self.adopt(&due.table, &outputs);
        let before = Arc::clone(&self.published.load().state);
        if let Some(table) = before.table_by_id(id) {
            compacted.catch_up(&table.files, &outputs)?;
        }
        let mut live = self.maintenance.lock();
        let state = Arc::clone(&self.published.load().state);
        self.may_go_on(due, job)?;
        let Some(table) = state.table_by_id(id) else {
            return Err(Error::Conflict { table: due.table.def.name.to_string() });
        };
        compacted.catch_up(&table.files, &outputs)?;
        for (file, deleted) in outputs.iter_mut().zip(compacted.deleted()) {
            *file = Arc::new(file.with_bitmap(deleted.clone()).at_level(due.level));
        }
        let stored = self.store_bitmaps(outputs.iter_mut())?;
        let inputs = compacted.input_ids();
        let mut files: Vec<Arc<TableFile>> =
            table.files.iter().filter(|file| !inputs.contains(&file.id())).map(Arc::clone).collect();
        let written = outputs.len() as u64;
        // The last file that needed one of their blob files may be gone by now.
        outputs.iter().for_each(|file| file.keep_blobs());
        files.extend(drop_dead(outputs.clone()));
        let record = |manifest: &mut Manifest| {
            manifest.deletes.extend(stored);
            let next_row_id = manifest.table_mut(id)?.next_row_id;
            record_files(manifest, id, &files, next_row_id)
        };
        let recorded = self.sync_files().and_then(|()| self.edit_manifest(&mut live, record));
        recorded
            .inspect_err(|_| self.forget_files(&stored.iter().map(|info| info.file).collect::<Vec<_>>()))?;
        self.swap_compacted(id, files);
        Ok(written)
    }

    fn swap_compacted(&self, id: TableId, files: Vec<Arc<TableFile>>) {
        let _writer = self.writer.lock();
        self.edit_state(|state| {
            if let Some(table) = state.table_by_id(id).map(Arc::clone) {
                self.retire_missing(&table.files, &files);
                let (frozen, active) = (table.frozen.clone(), Arc::clone(&table.active));
                state.put(Arc::new(table.replace(Some(files), frozen, active)));
            }
        });
    }
}

/// What the strategies know of a table's files.
fn shapes(table: &TableState, now: i64) -> Vec<FileShape<'_>> {
    let (oldest, expiry) = (table.oldest_unflushed(), Expiry::of(&table.def, now));
    table.files.iter().map(|file| shape(file, oldest, expiry)).collect()
}

fn shape(file: &TableFile, oldest_unflushed: Option<SeqNo>, expiry: Option<Expiry>) -> FileShape<'_> {
    // A file that cannot be read is for its readers to report.
    let expired = expiry.and_then(|expiry| expiry.count_in_file(file).ok()).unwrap_or(0);
    FileShape {
        bytes: file.bytes(),
        blob_bytes: file.blob_bytes(),
        rows: file.info().rows,
        // Some of the expired rows may be deleted too: the greater count is sure.
        dead: file.dead_rows().max(expired),
        settled: oldest_unflushed.is_none_or(|oldest| file.max_seq() < oldest),
        level: file.level(),
        min_key: &file.info().min_key,
        max_key: &file.info().max_key,
        max_seq: file.max_seq(),
    }
}

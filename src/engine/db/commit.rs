//! The write path: one leader at a time commits everything that waits (group commit, as in RocksDB).
//!
//! A commit is checked against the newest state, given the next sequence number, appended to the log, pushed into the
//! memtables beyond every reader's limit, made durable, and only then published. A failure of the log poisons the
//! engine; what was pushed stays invisible.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::batch::{Op, WriteBatch, duplicate};
use super::core::{Core, Writer};
use super::group::{Seat, unanswered};
use super::recent::{Outcome, Written};
use super::snapshot::Snapshot;
use super::transaction::Claim;
use super::view::TableView;
use crate::common::{
    ClosedReason, Durability, Error, Figure, Result, RowId, SeqNo, record_duration, record_size,
};
use crate::format::commit::{OpKind, payload_bytes, write_payload};
use crate::format::table::TableDef;
use crate::lsm::{State, TableState};
use crate::wal::{WalHeader, WalWriter};

/// Where an operation goes.
struct Admitted {
    table: Arc<TableState>,
    /// Its keys are known to be nowhere.
    fresh: bool,
    /// The id of its first row, in a keyless table.
    first: RowId,
}

impl Admitted {
    fn unchecked(table: Arc<TableState>) -> Self {
        Self { table, fresh: false, first: RowId(0) }
    }
}

impl Core {
    /// Commits `batch` and returns its sequence number once it is as durable as it asks to be.
    pub fn commit(&self, batch: WriteBatch) -> Result<SeqNo> {
        self.check_writable()?;
        if batch.ops.is_empty() {
            return Ok(self.published.load().seq());
        }
        self.wait_for_room()?;
        let patient = self.level(&batch) >= Durability::Group && self.storage.is_durable();
        match self.queue.join(batch) {
            Seat::Lead => {}
            Seat::First(group) => group.wait_for_lead(),
            Seat::Member(group, at) => return group.wait(at),
        }
        self.lead(patient).unwrap_or_else(|| Err(unanswered()))
    }

    /// Commits everything that waits, and wakes it once the next leader is at work. Returns what became of the leader's
    /// own commit.
    fn lead(&self, patient: bool) -> Option<Result<SeqNo>> {
        let mut lead = self.queue.lead(patient);
        let members = lead.gather();
        let mut writer = self.writer.lock();
        let outcomes = self.write_group(&mut writer, &members.batches);
        self.freeze_when_full(&mut writer);
        drop(writer);
        drop(lead);
        members.answer(outcomes)
    }

    /// Commits a group: what became of each. A member that fails its checks gets its own error; a failing log fails them
    /// all.
    fn write_group(&self, writer: &mut Writer, group: &[WriteBatch]) -> Vec<Result<SeqNo>> {
        let mut outcomes = Vec::with_capacity(group.len());
        for batch in group {
            outcomes.push(self.check_unpoisoned().and_then(|()| self.write(writer, batch)));
        }
        if let Err(error) = self.finish_group(writer, group, &outcomes) {
            let mut error = Some(error);
            for outcome in outcomes.iter_mut().filter(|outcome| outcome.is_ok()) {
                *outcome = Err(error.take().unwrap_or_else(poisoned));
            }
        }
        outcomes
    }

    /// Makes what was written as durable as its most demanding member asks, and then visible.
    fn finish_group(
        &self,
        writer: &mut Writer,
        group: &[WriteBatch],
        outcomes: &[Result<SeqNo>],
    ) -> Result<()> {
        let written = group
            .iter()
            .zip(outcomes)
            .filter_map(|(batch, outcome)| outcome.as_ref().ok().map(|seq| (self.level(batch), *seq)));
        let Some((level, seq)) = written.reduce(|(level, _), (other, seq)| (level.max(other), seq)) else {
            return Ok(());
        };
        if self.poisoned.load(Ordering::Acquire) {
            return Err(poisoned());
        }
        self.harden(writer, level)?;
        self.published.load().advance(seq);
        let commits = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        self.figures.add(Figure::Commits, commits as u64);
        self.figures.add(Figure::CommitGroups, 1);
        record_size("trilith_commit_group_size", commits);
        Ok(())
    }

    fn level(&self, batch: &WriteBatch) -> Durability {
        batch.durability.unwrap_or(self.options.durability)
    }

    /// Checks one batch, logs it and pushes it into the memtables, invisible as yet.
    fn write(&self, writer: &mut Writer, batch: &WriteBatch) -> Result<SeqNo> {
        let state = Arc::clone(&self.published.load().state);
        let tables = batch.ops.iter().map(|op| current_table(&state, op).map(Admitted::unchecked));
        let mut admitted =
            tables.collect::<Result<Vec<_>>>().map_err(|error| match (error, &batch.claim) {
                // The transaction had seen the table; when it runs again, it will see that it is gone.
                (Error::NotFound { name, .. }, Some(_)) => Error::Conflict { table: name },
                (error, _) => error,
            })?;
        let sure = match &batch.claim {
            Some(claim) => !self.check_claim(claim, &state)?.unsure,
            None => false,
        };
        for (at, to) in admitted.iter_mut().enumerate() {
            to.fresh = self.admit(batch, at, &to.table, sure)?;
        }
        for (op, to) in batch.ops.iter().zip(&mut admitted) {
            to.first = take_row_ids(op, &to.table);
        }
        let seq = writer.seq.next();
        let millis = state.clock.now();
        let logged = self.log(writer, seq, millis, batch, &admitted);
        let is_clean = logged.is_err() && writer.wal.as_ref().is_none_or(WalWriter::is_full);
        let pushed = logged.and_then(|()| {
            let mut ops = batch.ops.iter().zip(&admitted);
            ops.try_for_each(|(op, to)| op.push(&to.table, to.first, seq, to.fresh))
        });
        if let Err(error) = pushed {
            // A batch that is too long for a record, or finds no space, leaves the log as it was.
            if !is_clean && !matches!(error, Error::Limit { .. }) {
                self.poison();
            }
            return Err(error);
        }
        writer.seq = seq;
        state.times.note(seq, millis);
        self.note_written(batch, seq);
        Ok(seq)
    }

    /// Fails when another commit wrote what a transaction wrote or read since it began.
    pub fn check_claim(&self, claim: &Claim, state: &State) -> Result<Outcome> {
        let changed = |def: &Arc<TableDef>| {
            state.table_by_id(def.id).is_none_or(|table| table.def.version != def.version)
        };
        let read = claim.reads.as_ref().map(|reads| reads.tables()).unwrap_or_default();
        if let Some(def) = read.iter().find(|def| changed(def)) {
            return Err(Error::Conflict { table: def.name.to_string() });
        }
        let outcome = self.recent.check(claim);
        let Some(id) = outcome.conflict else { return Ok(outcome) };
        let name = state.table_by_id(id).map(|table| table.def.name.to_string());
        Err(Error::Conflict { table: name.unwrap_or_else(|| format!("number {id}")) })
    }

    fn note_written(&self, batch: &WriteBatch, seq: SeqNo) {
        let writes = batch.ops.iter().map(|op| {
            let written = op.keys.as_ref().map_or(Written::NewRows, |keys| Written::Keys(keys.clone()));
            (op.table.id, written)
        });
        self.recent.note(seq, writes, &self.published);
    }

    /// Checks operation `at` of a batch, whose rows are `sure` to be as they were. True when its keys are known to be
    /// nowhere.
    fn admit(&self, batch: &WriteBatch, at: usize, table: &Arc<TableState>, sure: bool) -> Result<bool> {
        let op = &batch.ops[at];
        if let Some(snapshot) = batch.based_on.as_ref().filter(|_| !sure) {
            check_unchanged(snapshot, op, table)?;
        }
        let (OpKind::Insert, Some(keys)) = (op.kind, &op.keys) else {
            return Ok(op.kind == OpKind::Insert);
        };
        let newest = TableView::new(Arc::clone(table), SeqNo(u64::MAX)).at(self.now());
        let earlier = keys_written_before(batch, at);
        // An expired row may be under a key that counts as new.
        let mut untouched = table.def.options.ttl.is_none();
        for key in (0..keys.len()).filter_map(|i| keys.encoded(i)) {
            let known = earlier.get(key).copied();
            if known.map_or_else(|| newest.contains(key), Ok)? {
                return Err(duplicate(&op.table, key));
            }
            // A deletion that no file knows of yet must still reach the file its row is in.
            untouched &=
                known.is_none() && table.memtables().all(|memtable| memtable.newest(key, u32::MAX).is_none());
        }
        Ok(untouched)
    }

    fn log(
        &self,
        writer: &mut Writer,
        seq: SeqNo,
        millis: i64,
        batch: &WriteBatch,
        admitted: &[Admitted],
    ) -> Result<()> {
        if !self.storage.is_durable() {
            return Ok(());
        }
        let wal = self.open_wal(writer)?;
        let before = wal.len();
        let ops = || batch.ops.iter().map(|op| &op.encoded);
        let numbered = ops().zip(admitted.iter().map(|to| to.first));
        wal.append_with(seq, payload_bytes(ops()), |out| write_payload(numbered, millis, out))?;
        self.figures.add(Figure::LoggedBytes, wal.len() - before);
        let level = self.level(batch);
        // From here on the commit takes effect: a disk that fills up must say so now, or not at all.
        match level {
            Durability::None => wal.promise(),
            _ => wal.secure()?,
        }
        if level == Durability::Strict { wal.sync() } else { Ok(()) }
    }

    fn open_wal<'a>(&self, writer: &'a mut Writer) -> Result<&'a mut WalWriter> {
        if writer.wal.as_ref().is_some_and(WalWriter::is_full) {
            // Space ran out in it; what it holds is durable before another goes on from there.
            self.sync_log(writer)?;
            writer.previous = writer.wal.take().map(|wal| wal.end());
        }
        if writer.wal.is_none() {
            let file = self.numbers.take();
            let (database, epoch, prev) = (self.database, self.epoch, writer.previous);
            let header = WalHeader { database, file, epoch, prev };
            let created =
                self.with_reserve(|| WalWriter::create(&*self.storage, header, &|| self.check_lock()));
            writer.wal = Some(match created {
                Ok(wal) => wal,
                Err(error) => {
                    // Without the lock, the file of that name may be another writer's.
                    self.check_lock()?;
                    self.forget_log(file);
                    return Err(error);
                }
            });
            writer.first_log.get_or_insert(file);
        }
        writer.wal.as_mut().ok_or_else(|| Error::Internal("the log is not open".into()))
    }

    fn harden(&self, writer: &mut Writer, level: Durability) -> Result<()> {
        let Some(wal) = writer.wal.as_mut() else { return Ok(()) };
        let hardened = match level {
            Durability::None => Ok(()),
            Durability::Buffered => wal.flush(),
            Durability::Group | Durability::Strict => {
                let start = Instant::now();
                let synced = wal.sync();
                self.figures.add(Figure::LogSyncs, 1);
                record_duration("trilith_log_sync_seconds", start.elapsed());
                // A commit is acknowledged only if whoever opens next is bound to find it.
                synced.and_then(|()| self.check_lock())
            }
        };
        hardened.inspect_err(|_| self.poison())
    }

    /// Makes every commit so far durable, for something that will be durable and must not come without them.
    pub fn sync_log(&self, writer: &mut Writer) -> Result<()> {
        let Some(wal) = writer.wal.as_mut() else { return Ok(()) };
        wal.sync().inspect_err(|_| self.poison())
    }

    /// Makes durable what a storage does not keep by itself when the process ends: commits at the level `buffered`.
    pub fn sync_buffered(&self) -> Result<()> {
        if self.storage.keeps_appends() || self.options.read_only {
            return Ok(());
        }
        self.sync_log(&mut self.writer.lock())
    }

    /// Freezes the memtables when they are full, or their log lies in too many pieces, and starts a new log file for what
    /// follows.
    fn freeze_when_full(&self, writer: &mut Writer) {
        let is_full = self.published.load().state.active_bytes() >= self.options.memtable_bytes;
        if (is_full || writer.wal.as_ref().is_some_and(WalWriter::is_fragmented))
            && !self.poisoned.load(Ordering::Acquire)
        {
            // It fails only with the log, which then is poisoned: the next commit says so.
            let _ = self.freeze(writer);
            self.work.1.notify_all();
        }
    }

    /// Freezes every memtable. Everything in them is in log files before the one that is opened next.
    pub fn freeze(&self, writer: &mut Writer) -> Result<()> {
        self.sync_log(writer)?;
        if let Some(wal) = writer.wal.take() {
            writer.previous = Some(wal.end());
        }
        (writer.first_log, writer.frozen) = (None, writer.seq);
        self.edit_state(|state| {
            for table in state.tables.values_mut() {
                *table = table.freeze();
            }
        });
        Ok(())
    }
}

fn poisoned() -> Error {
    Error::Closed(ClosedReason::Poisoned)
}

/// The table's present state; its columns must be those that the batch was made for.
fn current_table(state: &State, op: &Op) -> Result<Arc<TableState>> {
    let gone = || Error::NotFound { entity: "table", name: op.table.name.to_string() };
    // Few tables are renamed between a look at them and a write.
    let named = state.tables.get(&op.table.name).filter(|table| table.def.id == op.table.id);
    let table = named.or_else(|| state.table_by_id(op.table.id)).ok_or_else(gone)?;
    if table.def.version != op.table.version {
        return Err(Error::Conflict { table: table.def.name.to_string() });
    }
    Ok(Arc::clone(table))
}

/// Keys that operations before `at` of the same batch write to the same table, and whether they leave a row there.
fn keys_written_before(batch: &WriteBatch, at: usize) -> HashMap<&[u8], bool> {
    let mut written = HashMap::new();
    let table = batch.ops[at].table.id;
    for op in batch.ops[..at].iter().filter(|op| op.table.id == table) {
        let keys = op.keys.iter().flat_map(|keys| (0..keys.len()).filter_map(|i| keys.encoded(i)));
        written.extend(keys.map(|key| (key, op.adds_rows())));
    }
    written
}

fn take_row_ids(op: &Op, table: &TableState) -> RowId {
    let fresh =
        if op.kind == OpKind::Insert && !table.def.is_keyed() { u64::from(op.encoded.rows) } else { 0 };
    RowId(table.next_row_id.fetch_add(fresh, Ordering::Relaxed))
}

/// Fails when a row that `op` replaces or deletes was changed after `snapshot`.
fn check_unchanged(snapshot: &Snapshot, op: &Op, table: &Arc<TableState>) -> Result<()> {
    let Some(keys) = &op.keys else { return Ok(()) };
    let newest = TableView::new(Arc::clone(table), SeqNo(u64::MAX));
    let before = snapshot.published().state.table_by_id(table.def.id);
    let same_files = before.is_some_and(|before| Arc::ptr_eq(&before.files, &table.files));
    for i in 0..keys.len() {
        if keys.with(i, |key| changed_since(snapshot, table, &newest, same_files, key))? {
            return Err(Error::Conflict { table: table.def.name.to_string() });
        }
    }
    Ok(())
}

/// Conservative where the change was flushed: then the file's newest commit counts for all its rows.
fn changed_since(
    snapshot: &Snapshot,
    table: &Arc<TableState>,
    newest: &TableView,
    same_files: bool,
    key: &[u8],
) -> Result<bool> {
    let in_memory = table.memtables().rev().find_map(|memtable| memtable.newest(key, u32::MAX));
    if let Some(newest) = in_memory {
        return Ok(newest.seq > snapshot.seq());
    }
    if same_files {
        return Ok(false);
    }
    for file in table.files.iter().filter(|file| file.max_seq() > snapshot.seq()) {
        if file.find_live(key)?.is_some() {
            return Ok(true);
        }
    }
    let was_there = snapshot.table(&table.def.name).and_then(|view| view.contains(key)).unwrap_or(true);
    Ok(was_there && !newest.contains(key)?)
}

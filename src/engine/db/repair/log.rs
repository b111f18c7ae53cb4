//! The commits of the log, each of which proves itself alone, into one new log.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::buffer::Buffer;

use super::report::{Loss, LossKind, RepairReport};
use crate::common::{Epoch, Error, FileId, Result, TableId};
use crate::db::backup::Target;
use crate::db::batch::row_id_batch;
use crate::db::conform::key_schema;
use crate::db::manifest::Manifest;
use crate::db::recovery::log_files;
use crate::format::commit::{LoggedOp, OpKind, decode};
use crate::format::layout;
use crate::format::table::TableDef;
use crate::io::{FileReader, Storage};
use crate::lsm::FileNumbers;
use crate::wal::{LogHead, LogPiece, WalHeader, WalWriter, log_head, log_pieces};

/// Bytes of log that wait to be written.
const FLUSH_BYTES: u64 = 4 << 20;

/// A log file that is there.
struct LogFile {
    number: FileId,
    /// Unless it cannot be read at all, or is not ours.
    content: Option<Content>,
}

struct Content {
    reader: Arc<dyn FileReader>,
    head: LogHead,
}

/// Carries the commits over and points `manifest` at the new log.
pub(super) fn carry(
    source: &Arc<dyn Storage>,
    target: &Target,
    manifest: &mut Manifest,
    numbers: &FileNumbers,
    report: &mut RepairReport,
    progress: &mut dyn FnMut(&str) -> Result<()>,
) -> Result<()> {
    let mut commits = Commits::new(target, manifest, numbers.take());
    let logs = open_logs(&**source, manifest, target)?;
    for (at, log) in logs.iter().enumerate() {
        let path = layout::wal(log.number);
        progress(&path)?;
        let Some(content) = &log.content else {
            commits.mark(path, "it cannot be read, or is the log of another database or number");
            continue;
        };
        let header = content.head.header;
        commits.epoch = commits.epoch.max(header.map_or(Epoch(0), |header| header.epoch));
        commits.gap_before(log, header, at.checked_sub(1).map(|before| logs[before].number), manifest);
        let next = logs.get(at + 1).and_then(|next| next.content.as_ref()?.head.header);
        commits.file(&path, content, seal_of(log.number, next, manifest), report)?;
    }
    commits.end(&logs, manifest, report);
    commits.seal(manifest, report)
}

/// Bytes of a log that count, where its successor or a clean close says it.
fn seal_of(log: FileId, next: Option<WalHeader>, manifest: &Manifest) -> Option<u64> {
    let sealed_by = next.and_then(|header| header.prev).filter(|end| end.file == log);
    sealed_by.or(manifest.wal_sealed.filter(|end| end.file == log)).map(|end| end.len)
}

/// The log files from the first that is needed.
fn open_logs(source: &dyn Storage, manifest: &Manifest, target: &Target) -> Result<Vec<LogFile>> {
    let open = |number: FileId| {
        let reader = source.open(&layout::wal(number)).ok()?;
        let head = log_head(&*reader).ok()?;
        let own = |header: WalHeader| header.database == target.database() && header.file == number;
        head.header.is_none_or(own).then_some(Content { reader, head })
    };
    let numbers = log_files(source, manifest)?;
    Ok(numbers.into_iter().map(|number| LogFile { number, content: open(number) }).collect())
}

/// Commits on their way into the new log.
struct Commits<'a> {
    target: &'a Target,
    tables: HashMap<TableId, TableDef>,
    next_table: TableId,
    /// The last commit seen, or flushed.
    last: u64,
    /// Damage since then.
    hole: Option<(String, String)>,
    number: FileId,
    epoch: Epoch,
    writer: Option<WalWriter>,
}

impl<'a> Commits<'a> {
    fn new(target: &'a Target, manifest: &Manifest, number: FileId) -> Self {
        let tables = manifest.tables.iter().map(|table| (table.def.id, table.def.clone().derive())).collect();
        Self {
            target,
            tables,
            next_table: manifest.next_table,
            last: manifest.flushed_seq.0,
            hole: None,
            number,
            epoch: manifest.epoch,
            writer: None,
        }
    }

    /// Notes a log that should stand before this one and does not, or of which nothing tells.
    fn gap_before(
        &mut self,
        log: &LogFile,
        header: Option<WalHeader>,
        before: Option<FileId>,
        manifest: &Manifest,
    ) {
        let path = layout::wal(log.number);
        let Some(header) = header else {
            return self.mark(path, "its header is damaged, and so what it continues");
        };
        let Some(prev) = header.prev else { return };
        let needed = prev.file >= manifest.wal_start.unwrap_or_default();
        if needed && before.is_none_or(|before| before < prev.file) {
            self.mark(layout::wal(prev.file), format!("it is missing, and {path} continues it"));
        }
    }

    fn file(
        &mut self,
        path: &str,
        content: &Content,
        seal: Option<u64>,
        report: &mut RepairReport,
    ) -> Result<()> {
        let limit = seal.unwrap_or_else(|| content.reader.len());
        log_pieces(&content.reader, &content.head, limit, &mut |piece| match piece {
            LogPiece::Record { header, payload, .. } => self.record(path, header.seq.0, &payload, report),
            LogPiece::Hole { bytes, .. } => {
                self.mark(path, format!("bytes {}..{} are no valid record", bytes.start, bytes.end));
                Ok(())
            }
            LogPiece::Room { bytes } => {
                // Below a seal there were records.
                if seal.is_some() {
                    self.mark(path, format!("bytes {}..{} are zeros", bytes.start, bytes.end));
                }
                Ok(())
            }
        })?;
        if limit > content.reader.len() {
            self.mark(path, format!("it was sealed with {limit} bytes and has {}", content.reader.len()));
        }
        Ok(())
    }

    fn mark(&mut self, path: impl Into<String>, why: impl Into<String>) {
        self.hole.get_or_insert_with(|| (path.into(), why.into()));
    }

    /// Declares what a hole before commit `next` held.
    fn declare(&mut self, next: u64, report: &mut RepairReport) {
        let Some((path, why)) = self.hole.take() else { return };
        let first = self.last + 1;
        if first >= next {
            report.notes.push(format!("{path}: {why}; no commit is missing there"));
        } else {
            report.losses.push(Loss::commits(path, first, Some(next - 1), why));
        }
    }

    fn record(&mut self, path: &str, seq: u64, payload: &Buffer, report: &mut RepairReport) -> Result<()> {
        if seq <= self.last {
            // Flushed, or carried over by a later log already.
            return Ok(());
        }
        self.declare(seq, report);
        self.last = seq;
        match self.provable(payload) {
            Ok(()) => self.append(seq, payload, report),
            Err(error) => {
                report.losses.push(Loss::commits(path, seq, Some(seq), error.to_string()));
                Ok(())
            }
        }
    }

    /// A commit is carried over whole or not at all.
    fn provable(&self, payload: &Buffer) -> Result<()> {
        decode(payload)?.iter().try_for_each(|op| self.check(op))
    }

    fn check(&self, op: &LoggedOp) -> Result<()> {
        let Some(def) = self.tables.get(&op.table) else {
            if op.table < self.next_table {
                // Dropped since: nobody misses its rows.
                return Ok(());
            }
            return Err(Error::NotFound { entity: "table of id", name: op.table.to_string() });
        };
        if def.version != op.version {
            let why = format!(
                "its columns are of version {}, and the manifest has version {}",
                op.version, def.version
            );
            return Err(Error::invalid(format!("table {}", def.name), why));
        }
        let schema = match op.kind {
            OpKind::Insert | OpKind::Upsert => def.schema(),
            OpKind::DeleteKeys => key_schema(def),
            OpKind::DeleteRowIds => row_id_batch(&Vec::<u64>::new().into())?.schema(),
        };
        op.batch(schema).map(drop)
    }

    fn append(&mut self, seq: u64, payload: &Buffer, report: &mut RepairReport) -> Result<()> {
        if self.writer.is_none() {
            let header = WalHeader {
                database: self.target.database(),
                file: self.number,
                epoch: self.epoch,
                prev: None,
            };
            self.writer = Some(WalWriter::create(self.target.storage(), header, &|| Ok(()))?);
        }
        let Some(writer) = &mut self.writer else { return Ok(()) };
        writer.append(crate::common::SeqNo(seq), &[payload.as_slice()])?;
        report.commits += 1;
        if writer.unsynced_bytes() > FLUSH_BYTES { writer.flush() } else { Ok(()) }
    }

    /// What is missing at the end: certain where something testifies that it was there.
    fn end(&mut self, logs: &[LogFile], manifest: &Manifest, report: &mut RepairReport) {
        let newest = logs.last().map(|log| log.number);
        let is_closed = manifest.wal_sealed.is_some_and(|end| newest.is_none_or(|newest| newest <= end.file));
        if let Some(end) = manifest.wal_sealed.filter(|end| newest.is_none_or(|newest| newest < end.file)) {
            self.mark(layout::wal(end.file), "it is missing, and was there when the database was closed");
        }
        let found = self.hole.take().map(|(path, why)| Loss::commits(path, self.last + 1, None, why));
        if found.is_none() && report.losses.iter().any(|loss| loss.kind == LossKind::Versions) {
            let why = "newer manifests may be lost, so nothing tells where the log ended";
            report.losses.push(Loss::commits(layout::WAL_DIR, self.last + 1, None, why).perhaps());
        }
        // Without a clean close, a torn tail is what a crash leaves of commits that nobody was promised.
        report.losses.extend(found.map(|loss| if is_closed { loss } else { loss.perhaps() }));
    }

    /// Closes the new log and lets the manifest begin with it.
    fn seal(&mut self, manifest: &mut Manifest, report: &mut RepairReport) -> Result<()> {
        manifest.epoch = self.epoch;
        manifest.wal_start = Some(self.number);
        manifest.wal_sealed = None;
        if let Some(writer) = &mut self.writer {
            writer.sync()?;
            manifest.wal_sealed = Some(writer.end());
        }
        report.losses.sort_by(|a, b| a.file.cmp(&b.file));
        Ok(())
    }
}

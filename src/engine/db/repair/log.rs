//! The commits of the log, each of which proves itself alone, into one new log.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::buffer::Buffer;

use super::report::{Loss, RepairReport};
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

/// A log file that could be opened.
struct LogFile {
    number: FileId,
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
    let mut missing = Vec::new();
    let logs = open_logs(&**source, manifest, target, &mut missing)?;
    for (at, log) in logs.iter().enumerate() {
        progress(&layout::wal(log.number))?;
        commits.epoch = commits.epoch.max(log.head.header.map_or(Epoch(0), |header| header.epoch));
        commits.gap_before(log, at.checked_sub(1).map(|before| logs[before].number), manifest);
        let limit = commits.limit(log, logs.get(at + 1), manifest);
        commits.file(log, limit, report)?;
    }
    commits.end(&logs, manifest, report);
    for (path, why) in missing {
        report.losses.push(Loss::commits(path, commits.flushed + 1, None, why));
    }
    commits.seal(manifest, report)
}

/// The log files of the database that can be read; of the others, why not.
fn open_logs(
    source: &dyn Storage,
    manifest: &Manifest,
    target: &Target,
    missing: &mut Vec<(String, String)>,
) -> Result<Vec<LogFile>> {
    let mut logs = Vec::new();
    for number in log_files(source, manifest)? {
        let path = layout::wal(number);
        let opened = source.open(&path).and_then(|reader| Ok((log_head(&*reader)?, reader)));
        match opened {
            Ok((head, reader)) => {
                let own = |header: WalHeader| header.database == target.database() && header.file == number;
                if head.header.is_none_or(own) {
                    logs.push(LogFile { number, reader, head });
                } else {
                    missing.push((path, "it is the log of another database or number".to_owned()));
                }
            }
            Err(error) => missing.push((path, error.to_string())),
        }
    }
    Ok(logs)
}

/// Commits on their way into the new log.
struct Commits<'a> {
    target: &'a Target,
    tables: HashMap<TableId, TableDef>,
    next_table: TableId,
    flushed: u64,
    /// The last commit seen.
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
        let flushed = manifest.flushed_seq.0;
        Self {
            target,
            tables,
            next_table: manifest.next_table,
            flushed,
            last: flushed,
            hole: None,
            number,
            epoch: manifest.epoch,
            writer: None,
        }
    }

    /// Notes a log that should stand before this one and does not.
    fn gap_before(&mut self, log: &LogFile, before: Option<FileId>, manifest: &Manifest) {
        let Some(prev) = log.head.header.and_then(|header| header.prev) else { return };
        let needed = prev.file >= manifest.wal_start.unwrap_or_default();
        if needed && before.is_none_or(|before| before < prev.file) {
            self.mark(
                layout::wal(prev.file),
                format!("it is missing, and {} continues it", layout::wal(log.number)),
            );
        }
    }

    /// Bytes of a log that count: up to where its successor, or a clean close, says that it ends.
    fn limit(&mut self, log: &LogFile, next: Option<&LogFile>, manifest: &Manifest) -> u64 {
        let sealed_by = next.and_then(|next| next.head.header).and_then(|header| header.prev);
        let seal = sealed_by.or(manifest.wal_sealed).filter(|end| end.file == log.number);
        seal.map_or(log.reader.len(), |end| end.len)
    }

    fn file(&mut self, log: &LogFile, limit: u64, report: &mut RepairReport) -> Result<()> {
        let path = layout::wal(log.number);
        if log.head.header.is_none() {
            report.notes.push(format!("{path}: its header is damaged; its records are believed one by one"));
        }
        log_pieces(&log.reader, &log.head, limit, &mut |piece| match piece {
            LogPiece::Record { header, payload, .. } => self.record(&path, header.seq.0, &payload, report),
            LogPiece::Hole { bytes, .. } => {
                self.mark(path.clone(), format!("bytes {}..{} are no valid record", bytes.start, bytes.end));
                Ok(())
            }
        })?;
        if limit > log.reader.len() {
            self.mark(path, format!("it was sealed with {limit} bytes and has {}", log.reader.len()));
        }
        Ok(())
    }

    fn mark(&mut self, path: String, why: String) {
        self.hole.get_or_insert((path, why));
    }

    /// Declares what a hole before commit `next` may have held.
    fn declare(&mut self, next: Option<u64>, report: &mut RepairReport) {
        let Some((path, why)) = self.hole.take() else { return };
        let first = self.last + 1;
        match next {
            Some(next) if first >= next => {
                report.notes.push(format!("{path}: {why}; no commit is missing there"))
            }
            next => report.losses.push(Loss::commits(path, first, next.map(|next| next - 1), why)),
        }
    }

    fn record(&mut self, path: &str, seq: u64, payload: &Buffer, report: &mut RepairReport) -> Result<()> {
        if seq <= self.last {
            // Flushed, or carried over by a later log already.
            return Ok(());
        }
        self.declare(Some(seq), report);
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
            self.writer = Some(WalWriter::create(self.target.storage(), header)?);
        }
        let Some(writer) = &mut self.writer else { return Ok(()) };
        writer.append(crate::common::SeqNo(seq), &[payload.as_slice()])?;
        report.commits += 1;
        if writer.unsynced_bytes() > FLUSH_BYTES { writer.flush() } else { Ok(()) }
    }

    /// What is missing at the end: declared where something testifies that it was there.
    fn end(&mut self, logs: &[LogFile], manifest: &Manifest, report: &mut RepairReport) {
        let newest = logs.last().map(|log| log.number);
        let sealed = manifest.wal_sealed.filter(|end| newest.is_none_or(|newest| newest < end.file));
        if let Some(end) = sealed {
            self.mark(
                layout::wal(end.file),
                "it is missing, and was there when the database was closed".to_owned(),
            );
        }
        let is_closed = manifest.wal_sealed.is_some_and(|end| newest.is_none_or(|newest| newest <= end.file));
        let tail =
            self.hole.as_ref().filter(|(path, _)| newest.is_some_and(|newest| *path == layout::wal(newest)));
        if let (Some((path, why)), false) = (tail, is_closed) {
            report.notes.push(format!(
                "{path}: {why}; the database was not closed, so this is what a crash leaves of commits nobody was \
                 promised, or the loss of the last ones, from {} on",
                self.last + 1
            ));
        }
        self.declare(None, report);
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

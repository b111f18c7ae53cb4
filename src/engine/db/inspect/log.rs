//! A log file, explained: its header, its records, and the holes between them.

use std::sync::Arc;

use arrow::buffer::Buffer;

use super::report::{Fields, FileReport};
use crate::common::Result;
use crate::format::commit::{OpKind, decode};
use crate::format::wal_header::{WAL_HEADER_LEN, WalHeader};
use crate::format::wal_record::RecordHeader;
use crate::io::FileReader;
use crate::wal::{LogHead, LogPiece, log_head, log_pieces};

/// What the records of a file come to.
#[derive(Default)]
struct Totals {
    records: u64,
    seqs: Option<(u64, u64)>,
    synced_upto: u64,
    holes: Vec<(u64, u64)>,
    room: Option<(u64, u64)>,
}

/// Fills in what a log holds.
pub(super) fn explain(file: &Arc<dyn FileReader>, records: bool, report: &mut FileReport) -> Result<()> {
    let head = log_head(&**file)?;
    header(&**file, &head, report)?;
    let mut totals = Totals::default();
    log_pieces(file, &head, file.len(), &mut |piece| {
        let entry = totals.count(&piece);
        if records {
            report.records.push(entry);
        }
        Ok(())
    })?;
    totals.report(file.len(), report);
    Ok(())
}

fn header(file: &dyn FileReader, head: &LogHead, report: &mut FileReport) -> Result<()> {
    let Some(header) = head.header else {
        let bytes = file.load(0..file.len().min(WAL_HEADER_LEN as u64))?;
        if let Err(error) = WalHeader::decode(&bytes, file.path()) {
            report.failed(&error);
        }
        return Ok(());
    };
    report.set("format version", crate::format::wal_header::WAL_VERSION);
    report.set("database", header.database.to_string());
    report.set("file", header.file.0);
    report.set("epoch", header.epoch.0);
    let prev = header.prev.map_or_else(
        || "none".to_owned(),
        |end| format!("log {} up to byte {}, chain value {:08x}", end.file, end.len, end.chain),
    );
    report.set("continues", prev);
    Ok(())
}

impl Totals {
    fn count(&mut self, piece: &LogPiece) -> Fields {
        match piece {
            LogPiece::Record { at, header, payload } => {
                self.records += 1;
                let seq = header.seq.0;
                let first = self.seqs.map_or(seq, |(first, _)| first.min(seq));
                self.seqs = Some((first, self.seqs.map_or(seq, |(_, last)| last.max(seq))));
                self.synced_upto = self.synced_upto.max(header.synced_upto);
                record(*at, header).with("operations", operations(payload))
            }
            LogPiece::Room { bytes } => {
                self.room = Some((bytes.start, bytes.end));
                Fields::default()
                    .with("offset", bytes.start)
                    .with("bytes", bytes.end - bytes.start)
                    .with("operations", "room for more records")
            }
            LogPiece::Hole { bytes, header } => {
                self.holes.push((bytes.start, bytes.end));
                self.synced_upto = self.synced_upto.max(header.map_or(0, |header| header.synced_upto));
                match header {
                    Some(header) => record(bytes.start, header).with("operations", "damaged"),
                    None => Fields::default()
                        .with("offset", bytes.start)
                        .with("bytes", bytes.end - bytes.start)
                        .with("operations", "no record"),
                }
            }
        }
    }

    /// A hole below what some record testifies was durable is damage; after the last record it may be a torn tail.
    fn report(mut self, len: u64, report: &mut FileReport) {
        report.set("records", self.records);
        if let Some((first, last)) = self.seqs {
            report.set("seq", format!("{first}..={last}"));
        }
        report.set("durable for certain up to byte", self.synced_upto);
        if let Some((start, end)) = self.room {
            report.set("reserved", format!("bytes {start}..{end}"));
            // A record testifies that something else than zeros was here.
            self.holes.extend((start < self.synced_upto).then_some((start, end)));
        }
        for (start, end) in self.holes {
            if start < self.synced_upto {
                let what = format!("bytes {start}..{end} had been written in full, and are no valid record");
                report.damaged(start, what);
            } else if end == len {
                report.set(
                    "torn tail",
                    format!("bytes {start}..{end}: no record testifies that they were durable"),
                );
            } else {
                report.damaged(start, format!("bytes {start}..{end} are no valid record"));
            }
        }
    }
}

fn record(at: u64, header: &RecordHeader) -> Fields {
    Fields::default()
        .with("offset", at)
        .with("seq", header.seq.0)
        .with("epoch", header.epoch.0)
        .with("payload bytes", header.len)
        .with("synced upto", header.synced_upto)
}

fn operations(payload: &Buffer) -> String {
    let ops = match decode(payload) {
        Ok(ops) => ops,
        Err(error) => return error.to_string(),
    };
    let one = |op: &crate::format::commit::LoggedOp| {
        let what = match op.kind {
            OpKind::Insert => "insert",
            OpKind::Upsert => "upsert",
            OpKind::DeleteKeys => "delete by key",
            OpKind::DeleteRowIds => "delete by row id",
        };
        format!("{what} {} rows, table {} version {}", op.rows, op.table, op.version)
    };
    ops.iter().map(one).collect::<Vec<_>>().join("; ")
}

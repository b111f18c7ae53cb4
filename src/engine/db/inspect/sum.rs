//! A companion file, explained.

use arrow::buffer::Buffer;

use super::report::{Fields, FileReport, hex, seal};
use crate::common::{DatabaseId, FileId};
use crate::format::cursor::Cursor;
use crate::format::sum::{self, Lookup, Sum, VERSION};

/// Bytes of the header, and of an entry of the directory.
const HEADER: usize = 96;
const ENTRY: usize = 24;

/// Fills in what a companion says; only of a sealed one more than the header.
pub(super) fn explain(bytes: &Buffer, records: bool, report: &mut FileReport) {
    let sealed = seal(bytes, report);
    let Some((database, file)) = header(bytes, report) else {
        report.damaged(bytes.len() as u64, "it ends within its header");
        return;
    };
    if !sealed {
        return;
    }
    match sum::decode(&report.path.clone(), database, file, bytes) {
        Ok((sum, _)) => content(&sum, records, report),
        Err(error) => report.failed(&error),
    }
}

fn header(bytes: &[u8], report: &mut FileReport) -> Option<(DatabaseId, FileId)> {
    let mut cursor = Cursor::new(bytes);
    if cursor.bytes(8)? != b"TRILSUM\0" {
        report.damaged(0, "it does not begin as the companion of an SSTable");
    }
    let (version, sections) = (cursor.u32()?, cursor.u32()?);
    let (database, file) = (DatabaseId(cursor.u128()?), FileId(cursor.u64()?));
    report.set("format version", version);
    report.set("sections", sections);
    report.set("database", database.to_string());
    report.set("file", file.0);
    for name in ["table", "data bytes", "rows"] {
        report.set(name, cursor.u64()?);
    }
    report.set("seq", format!("{}..={}", cursor.u64()?, cursor.u64()?));
    if version > VERSION {
        report.set("note", format!("written by a newer Trilith; this build reads up to {VERSION}"));
    }
    directory(bytes, sections, report);
    Some((database, file))
}

fn directory(bytes: &[u8], sections: u32, report: &mut FileReport) {
    let entries = bytes.get(HEADER..).unwrap_or_default().chunks_exact(ENTRY).take(sections.min(64) as usize);
    for entry in entries {
        let mut cursor = Cursor::new(entry);
        let (Some(kind), Some(offset), Some(len)) = (cursor.u64(), cursor.u64(), cursor.u64()) else {
            return;
        };
        report
            .records
            .push(Fields::default().with("section", title(kind)).with("offset", offset).with("bytes", len));
    }
}

fn title(kind: u64) -> &'static str {
    match kind {
        1 => "blocks",
        2 => "batches",
        3 => "fences",
        4 => "filter ends",
        5 => "filter lines",
        6 => "row ids",
        7 => "zones",
        _ => "unknown",
    }
}

fn content(sum: &Sum, records: bool, report: &mut FileReport) {
    report.set("batches", sum.batches.len());
    match &sum.lookup {
        Lookup::Keys { fences, .. } => {
            let first = fences.first(0).unwrap_or_default();
            report.set("keys", format!("{}..={}", hex(first), hex(fences.last())));
        }
        Lookup::RowIds(runs) => {
            let id = |id: Option<crate::common::RowId>| id.map_or(0, |id| id.0);
            report.set("row ids", format!("{}..={}", id(runs.first_id()), id(runs.last_id())));
            report.set("runs of row ids", runs.runs().len());
        }
    }
    if !records {
        return;
    }
    let mut first_row = 0;
    for (i, batch) in sum.batches.iter().enumerate() {
        let mut record = Fields::default()
            .with("batch", i)
            .with("offset", batch.offset)
            .with("metadata bytes", batch.meta_len)
            .with("body bytes", batch.body_len)
            .with("rows", format!("{first_row}..{}", batch.end_row));
        if let Lookup::Keys { fences, .. } = &sum.lookup {
            record.set("first key", hex(fences.first(i).unwrap_or_default()));
        }
        report.records.push(record);
        first_row = batch.end_row;
    }
}

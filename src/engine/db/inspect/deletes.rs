//! A file of deletion bitmaps, explained.

use roaring::RoaringBitmap;

use super::report::{Fields, FileReport, seal};
use crate::format::cursor::Cursor;

/// Fills in what a deletion file says.
pub(super) fn explain(bytes: &[u8], records: bool, report: &mut FileReport) {
    let sealed = seal(bytes, report);
    if header(bytes, sealed, records, report).is_none() {
        report.damaged(bytes.len() as u64, "its directory runs past its end");
    }
}

fn header(bytes: &[u8], sealed: bool, records: bool, report: &mut FileReport) -> Option<()> {
    let mut cursor = Cursor::new(bytes);
    if cursor.bytes(8)? != b"TRILDEL\0" {
        report.damaged(0, "it does not begin as a deletion file");
    }
    let (version, count) = (cursor.u32()?, cursor.u32()?);
    report.set("format version", version);
    report.set("bitmaps", count);
    report.set("database", format!("{:032x}", cursor.u128()?));
    report.set("file", cursor.u64()?);
    let mut deleted = 0;
    for _ in 0..count {
        let (sst, offset, len) = (cursor.u64()?, cursor.u64()?, cursor.u64()?);
        let mut record = Fields::default().with("sst", sst).with("offset", offset).with("bytes", len);
        if sealed {
            let rows = bitmap(bytes, offset, len, report)?;
            deleted += rows;
            record.set("deleted rows", rows);
        }
        if records {
            report.records.push(record);
        }
    }
    if sealed {
        report.set("deleted rows", deleted);
    }
    Some(())
}

fn bitmap(bytes: &[u8], offset: u64, len: u64, report: &mut FileReport) -> Option<u64> {
    let (start, len) = (usize::try_from(offset).ok()?, usize::try_from(len).ok()?);
    let slice = bytes.get(start..start.checked_add(len)?)?;
    match RoaringBitmap::deserialize_from(slice) {
        Ok(bitmap) => Some(bitmap.len()),
        Err(error) => {
            report.damaged(offset, format!("not a bitmap: {error}"));
            Some(0)
        }
    }
}

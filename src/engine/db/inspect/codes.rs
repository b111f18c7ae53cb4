//! A file of codes, explained.

use super::report::{FileReport, seal};
use crate::format::cursor::Cursor;

/// Fills in what a file of codes says.
pub(super) fn explain(bytes: &[u8], report: &mut FileReport) {
    seal(bytes, report);
    if header(bytes, report).is_none() {
        report.damaged(bytes.len() as u64, "its header runs past its end");
    }
    report.set("note", "derived from the SSTable: a search makes codes again that are damaged or missing");
}

fn header(bytes: &[u8], report: &mut FileReport) -> Option<()> {
    let mut cursor = Cursor::new(bytes);
    if cursor.bytes(8)? != b"TRICODE\0" {
        report.damaged(0, "it does not begin as a file of codes");
    }
    report.set("version of the codes", cursor.u32()?);
    report.set("column", cursor.u32()?);
    report.set("database", format!("{:032x}", cursor.u128()?));
    report.set("sst", cursor.u64()?);
    report.set("rows", cursor.u64()?);
    report.set("length of the sst", cursor.u64()?);
    report.set("components", cursor.u32()?);
    report.set("components of a code", cursor.u32()?);
    Some(())
}

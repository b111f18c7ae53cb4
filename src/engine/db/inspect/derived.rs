//! A file that was made of a column for searches, explained as far as the engine knows it.

use super::report::{FileReport, seal};
use crate::format::cursor::Cursor;

/// Fills in what the header of such a file says.
pub(super) fn explain(bytes: &[u8], report: &mut FileReport) {
    seal(bytes, report);
    if header(bytes, report).is_none() {
        report.damaged(bytes.len() as u64, "its header runs past its end");
    }
    report.set("note", "derived from the SSTable: a search makes it again when it is damaged or missing");
}

fn header(bytes: &[u8], report: &mut FileReport) -> Option<()> {
    let mut cursor = Cursor::new(bytes);
    if cursor.bytes(8)? != b"TRIDERIV" {
        report.damaged(0, "it does not begin as a file derived from another");
    }
    report.set("version", cursor.u32()?);
    report.set("column", cursor.u32()?);
    report.set("database", format!("{:032x}", cursor.u128()?));
    report.set("sst", cursor.u64()?);
    report.set("rows", cursor.u64()?);
    report.set("length of the sst", cursor.u64()?);
    let length = usize::try_from(cursor.u64()?).ok()?;
    report.set("holds", String::from_utf8_lossy(cursor.bytes(length)?).into_owned());
    Some(())
}

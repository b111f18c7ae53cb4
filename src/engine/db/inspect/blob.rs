//! A file of large values, explained.

use std::sync::Arc;

use super::data::verified;
use super::report::FileReport;
use crate::common::Result;
use crate::format::blob::{BlobHeader, FOOTER_LEN, HEADER_LEN, data_len, decode_tail};
use crate::io::FileReader;

/// Fills in what a blob file says. Where its values begin and end is known to the rows alone.
pub(super) fn explain(file: &Arc<dyn FileReader>, report: &mut FileReport) -> Result<()> {
    let len = file.len();
    let header = file.load(0..len.min(HEADER_LEN as u64))?;
    match BlobHeader::decode(file.path(), &header) {
        Ok(id) => {
            report.set("database", id.database.to_string());
            report.set("file", id.file.0);
            report.set("table", id.table.0);
        }
        Err(error) => report.failed(&error),
    }
    let footer = file.load(len.saturating_sub(FOOTER_LEN as u64)..len)?;
    let Some(data_len) = data_len(&footer, len) else {
        report.damaged(len.saturating_sub(FOOTER_LEN as u64), "it does not end as a blob file");
        return Ok(());
    };
    match decode_tail(file.path(), &header, &file.load(data_len..len)?, data_len) {
        Ok((tail, hash)) => {
            report.set("values", tail.values);
            report.set("bytes of values", tail.bytes);
            report.set("xxh3-128", format!("{hash}, of header, checksums and footer"));
            verified(&**file, &tail.sums, data_len, report)?;
        }
        Err(error) => report.failed(&error),
    }
    Ok(())
}

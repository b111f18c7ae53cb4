//! The data file of an SSTable, explained: what its footer says, and whether its blocks are what was written.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::ipc::convert::fb_to_schema;
use arrow::ipc::{Footer, root_as_footer};

use super::report::{Fields, FileReport};
use crate::common::{DatabaseId, Error, FileId, Result};
use crate::format::Hash128;
use crate::format::block::{BLOCK_LEN, BlockSums, block_count};
use crate::format::cursor::Cursor;
use crate::format::sum::{self, Sum};
use crate::io::FileReader;

/// Length of the footer and the magic, at the end of the file.
const TAIL: u64 = 10;
const STEP: u64 = 256 * BLOCK_LEN as u64;

/// Fills in what a data file holds, as far as its companion proves it.
pub(super) fn explain(
    file: &Arc<dyn FileReader>,
    companion: Option<&Arc<dyn FileReader>>,
    records: bool,
    report: &mut FileReport,
) -> Result<()> {
    let sum = companion.map(|companion| read_companion(&**companion));
    match sum {
        Some(Ok(sum)) => {
            let intact = blocks(&**file, &sum, report)?;
            footer(&**file, Some(&sum), intact, records, report)
        }
        other => {
            let why = match other {
                Some(Err(error)) => format!("its companion cannot be used: {error}"),
                _ => "its companion (.sum) is not beside it".to_owned(),
            };
            report.set("blocks", format!("not verified: {why}"));
            footer(&**file, None, false, records, report)
        }
    }
}

fn read_companion(file: &dyn FileReader) -> Result<Sum> {
    let bytes = file.load(0..file.len())?;
    Hash128::check_sealed(file.path(), &bytes)?;
    let mut cursor = Cursor::new(&bytes);
    let mut read = || {
        cursor.bytes(16)?;
        Some((DatabaseId(cursor.u128()?), FileId(cursor.u64()?)))
    };
    let (database, id) = read().ok_or_else(|| Error::corrupt(file.path(), 0, "it ends within its header"))?;
    sum::decode(file.path(), database, id, &bytes).map(|(sum, _)| sum)
}

/// Verifies every block; true when all of them, and the length, are what was written.
fn blocks(file: &dyn FileReader, sum: &Sum, report: &mut FileReport) -> Result<bool> {
    let header = &sum.header;
    report.set("database", header.database.to_string());
    report.set("file", header.file.0);
    report.set("table", header.table.0);
    report.set("rows", header.rows);
    report.set("seq", format!("{}..={}", header.min_seq, header.max_seq));
    if file.len() != header.data_len {
        let what = format!("it has {} bytes, its companion says {}", file.len(), header.data_len);
        report.damaged(file.len().min(header.data_len), what);
    }
    Ok(verified(file, &sum.blocks, header.data_len, report)? && file.len() == header.data_len)
}

/// Verifies the first `len` bytes block by block; true when all of them are what was written.
pub(super) fn verified(
    file: &dyn FileReader,
    sums: &BlockSums,
    len: u64,
    report: &mut FileReport,
) -> Result<bool> {
    let bad = bad_blocks(file, sums, len)?;
    let count = block_count(len);
    let lost: u64 = bad.iter().map(|(start, end)| end - start).sum();
    report.set("blocks", format!("{} of {count} match their checksums", count - lost));
    for (start, end) in &bad {
        let what = match end - start {
            1 => format!("block {start} does not match its checksum"),
            n => format!("blocks {start}..{end} ({n}) do not match their checksums"),
        };
        report.damaged(start * BLOCK_LEN as u64, what);
    }
    Ok(bad.is_empty())
}

/// Runs of blocks that fail.
fn bad_blocks(file: &dyn FileReader, sums: &BlockSums, len: u64) -> Result<Vec<(u64, u64)>> {
    let mut bad: Vec<(u64, u64)> = Vec::new();
    let mut fail = |block: u64| match bad.last_mut() {
        Some((_, end)) if *end == block => *end += 1,
        _ => bad.push((block, block + 1)),
    };
    for start in (0..len).step_by(STEP as usize) {
        let end = (start + STEP).min(len);
        let there = end.min(file.len()).max(start);
        let bytes = if there > start { file.load(start..there)? } else { Default::default() };
        for at in (start..end).step_by(BLOCK_LEN) {
            let (from, to) = ((at - start) as usize, ((at + BLOCK_LEN as u64).min(end) - start) as usize);
            let number = at / BLOCK_LEN as u64;
            if !bytes.get(from..to).is_some_and(|block| sums.matches(number, block)) {
                fail(number);
            }
        }
    }
    Ok(bad)
}

fn footer(
    file: &dyn FileReader,
    sum: Option<&Sum>,
    intact: bool,
    records: bool,
    report: &mut FileReport,
) -> Result<()> {
    let Some(bytes) = footer_bytes(file)? else {
        report.damaged(file.len().saturating_sub(TAIL), "it does not end as an Arrow file");
        return Ok(());
    };
    let footer = match root_as_footer(&bytes) {
        Ok(footer) => footer,
        Err(error) => {
            report.damaged(file.len().saturating_sub(TAIL), format!("its footer is not one: {error}"));
            return Ok(());
        }
    };
    labels(&footer, report);
    report.set("batches", footer.recordBatches().map_or(0, |batches| batches.len()));
    // Arrow's conversion of types panics on some that no writer makes: only for bytes that were verified.
    if let Some(schema) = footer.schema().filter(|_| intact) {
        let columns: Vec<String> = fb_to_schema(schema)
            .fields()
            .iter()
            .map(|field| format!("{} {}", field.name(), field.data_type()))
            .collect();
        report.set("columns", columns.join(", "));
    }
    if records {
        batches(&footer, sum, report);
    }
    Ok(())
}

fn footer_bytes(file: &dyn FileReader) -> Result<Option<arrow::buffer::Buffer>> {
    let Some(tail_start) = file.len().checked_sub(TAIL) else { return Ok(None) };
    let tail = file.load(tail_start..file.len())?;
    let Some((len, b"ARROW1")) = tail.split_first_chunk::<4>() else { return Ok(None) };
    let start = u64::try_from(i32::from_le_bytes(*len)).ok().and_then(|len| tail_start.checked_sub(len));
    start.map(|start| file.load(start..tail_start)).transpose()
}

fn labels(footer: &Footer<'_>, report: &mut FileReport) {
    let metadata = footer.schema().and_then(|schema| schema.custom_metadata());
    let labels: BTreeMap<String, String> = metadata
        .into_iter()
        .flatten()
        .filter_map(|entry| Some((entry.key()?.to_owned(), entry.value()?.to_owned())))
        .collect();
    for (name, value) in labels {
        report.set(name, value);
    }
}

fn batches(footer: &Footer<'_>, sum: Option<&Sum>, report: &mut FileReport) {
    let mut first_row = 0;
    for (i, block) in footer.recordBatches().into_iter().flatten().enumerate() {
        let mut record = Fields::default()
            .with("batch", i)
            .with("offset", block.offset())
            .with("metadata bytes", block.metaDataLength())
            .with("body bytes", block.bodyLength());
        if let Some(known) = sum.and_then(|sum| sum.batches.get(i)) {
            record.set("rows", format!("{first_row}..{}", known.end_row));
            first_row = known.end_row;
        }
        report.records.push(record);
    }
}

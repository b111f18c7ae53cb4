//! Looks beyond a bad record for one that proves it was once whole.
//!
//! A record header is written after everything below its `synced_upto` was durable. So a valid header whose
//! `synced_upto` lies above the damage means rot, and a tail without one is what a power cut leaves. The
//! checksum of a header is bound to its file and position, so nothing in a payload passes for one.

use super::replay::{WINDOW, Window};
use crate::common::Result;
use crate::format::wal_record::{RECORD_ALIGN, RECORD_HEADER_LEN, RecordHeader};

/// Position of the first record header after `damage` that proves the byte at `damage` was durable.
///
/// Reads each byte once; only bytes that start like a record are checked further.
///
/// # Errors
/// `Io` when the file cannot be read.
pub(super) fn find(window: &mut Window, seed: u32, damage: u64) -> Result<Option<u64>> {
    let len = window.file.len();
    let header = RECORD_HEADER_LEN as u64;
    let mut start = damage;
    while start + header <= len {
        let end = len.min(start + WINDOW);
        let bytes = window.read(start..end)?;
        let found = (0..=bytes.len() - RECORD_HEADER_LEN).step_by(RECORD_ALIGN).find(|&at| {
            let position = start + at as u64;
            RecordHeader::decode(&bytes[at..], seed, position)
                .is_some_and(|(header, _)| header.synced_upto > damage && header.synced_upto <= position)
        });
        if let Some(at) = found {
            return Ok(Some(start + at as u64));
        }
        // The next piece starts at the first position that had no room for a header in this one.
        let checked = (bytes.len() - RECORD_HEADER_LEN) / RECORD_ALIGN + 1;
        start += (checked * RECORD_ALIGN) as u64;
    }
    Ok(None)
}

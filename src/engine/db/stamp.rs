//! Files of a bulk append get the sequence number of their commit.

use std::sync::Arc;

use super::core::Core;
use crate::common::{Result, SeqNo};
use crate::format::table::TableDef;
use crate::lsm::TableFile;
use crate::sstable::SstInfo;

/// The files as of commit `seq`, which is known only now.
pub(super) fn stamp(
    core: &Core,
    table: &TableDef,
    files: Vec<Arc<TableFile>>,
    seq: SeqNo,
) -> Result<Vec<Arc<TableFile>>> {
    let mut stamped = Vec::with_capacity(files.len());
    for file in &files {
        let info = SstInfo { min_seq: seq, max_seq: seq, ..file.info().clone() };
        let opened = core.open_files(table, vec![info], &files)?.remove(0);
        let deletes = file.deletes()?;
        stamped.push(if deletes.is_empty() {
            opened
        } else {
            Arc::new(opened.with_bitmap((**deletes).clone()))
        });
    }
    Ok(stamped)
}

//! From the tables of one manifest to those of the next, with what a reader has in memory.
//!
//! Pure bookkeeping: opens no file and pushes no row. A reader freezes its memtables where the writer started another
//! log file, which is where the writer froze its own: so each is on one side of what a manifest says was flushed.

use std::sync::Arc;

use super::manifest::{Manifest, Stored, TableRecord};
use super::recovery::open_files;
use crate::common::{Result, SeqNo};
use crate::io::Storage;
use crate::lsm::{State, TableState};
use crate::memtable::MemTable;

/// The tables of `stored` over what `before` has open and in memory; `None` when a memtable is flushed in part, or
/// holds rows of other columns: then it must be read anew.
pub(super) fn carry_over(
    storage: &Arc<dyn Storage>,
    stored: &Stored,
    before: &State,
) -> Result<Option<State>> {
    let manifest = &stored.manifest;
    let mut state = State {
        schemas: manifest.schemas.iter().cloned().collect(),
        clock: Arc::clone(&before.clock),
        times: Arc::clone(&before.times),
        ..State::default()
    };
    state.times.note(manifest.as_of, manifest.as_of_ms);
    state.times.forget_before(manifest.as_of);
    for record in &manifest.tables {
        let known = before.table_by_id(record.def.id);
        let open = known.map_or(&[][..], |table| &table.files[..]);
        let files = open_files(storage, stored.database, manifest, record, open)?;
        let table = match known {
            None => Some(Arc::new(TableState::new(
                Arc::new(record.def.clone().derive()),
                files,
                record.next_row_id,
            ))),
            Some(known) => carry_table(known, record, files, manifest),
        };
        let Some(table) = table else { return Ok(None) };
        state.put(table);
    }
    Ok(Some(state))
}

fn carry_table(
    known: &Arc<TableState>,
    record: &TableRecord,
    files: Vec<Arc<crate::lsm::TableFile>>,
    manifest: &Manifest,
) -> Option<Arc<TableState>> {
    let mut kept = Vec::new();
    for memtable in known.memtables().filter(|memtable| !memtable.is_empty()) {
        match side(memtable, manifest.flushed_seq) {
            Side::Flushed => {}
            Side::Unflushed => kept.push(Arc::clone(memtable)),
            Side::Both => return None,
        }
    }
    let same_columns = known.def.version == record.def.version;
    if !same_columns && !kept.is_empty() {
        return None;
    }
    let active = match kept.last() {
        Some(last) if Arc::ptr_eq(last, &known.active) => kept.pop(),
        _ => None,
    };
    let active = active.unwrap_or_else(|| match known.active.is_empty() {
        true => Arc::clone(&known.active),
        false => Arc::new(MemTable::new(known.def.is_keyed())),
    });
    let table = known.replace(Some(files), kept, active);
    Some(Arc::new(if same_columns && known.def.name == record.def.name {
        table
    } else {
        table.redefine(Arc::new(record.def.clone().derive()))
    }))
}

enum Side {
    Flushed,
    Unflushed,
    Both,
}

fn side(memtable: &MemTable, flushed: SeqNo) -> Side {
    match (memtable.first_seq() > Some(flushed), memtable.last_seq() > Some(flushed)) {
        (false, false) => Side::Flushed,
        (true, _) => Side::Unflushed,
        (false, true) => Side::Both,
    }
}

//! Which manifest to repair: the one that CURRENT names, or the newest that proves itself.

use std::collections::HashMap;

use super::report::{Loss, LossKind, RepairReport};
use crate::common::{DatabaseId, Error, Result};
use crate::db::manifest::{self, Stored};
use crate::format::layout;
use crate::io::Storage;

/// Where every file but an SSTable's data has the id of its database.
const ID_AT: u64 = 16;

/// The manifest to go by; what newer ones recorded is declared lost.
pub(super) fn choose(source: &dyn Storage, report: &mut RepairReport) -> Result<Stored> {
    let why = match manifest::load(source) {
        Ok(Some(stored)) => return Ok(stored),
        Ok(None) => "it is missing".to_owned(),
        Err(error) => error.to_string(),
    };
    let named = manifest::named_by_current(source);
    let mut numbers: Vec<u64> = source
        .list(layout::MANIFEST_DIR)?
        .iter()
        .filter(|name| name.ends_with(".mf"))
        .filter_map(|name| layout::file_number(name))
        .map(|file| file.0)
        .collect();
    numbers.sort_unstable();
    let newest = numbers.last().copied().max(named);
    let owner = owner(source)?;
    let own = |number: &u64| {
        let loaded = manifest::load_number(source, *number).ok();
        loaded.filter(|stored| owner.is_none_or(|owner| owner == stored.database))
    };
    let Some(found) = numbers.iter().rev().find_map(own) else {
        return Err(Error::corrupt(
            layout::CURRENT,
            0,
            format!("{why}; and no manifest proves itself, so that nothing tells what the other files mean"),
        ));
    };
    let number = found.manifest.number;
    let newer = newest.filter(|newest| *newest > number);
    let file = newer.map_or_else(|| layout::CURRENT.to_owned(), layout::manifest);
    let why =
        format!("{why}; manifest {number} is the newest that proves itself, and the state is that of it");
    let loss = Loss::new(LossKind::Versions, file, why);
    report.losses.push(if newer.is_some() { loss } else { loss.perhaps() });
    Ok(found)
}

/// The database that most files say they belong to: each but the data files has its id at the same place.
fn owner(source: &dyn Storage) -> Result<Option<DatabaseId>> {
    let mut votes: HashMap<u128, usize> = HashMap::new();
    for dir in layout::DIRS {
        for name in source.list(dir)?.iter().filter(|name| !name.ends_with(".arrow")) {
            let path = format!("{dir}/{name}");
            let id = source.open(&path).and_then(|file| file.load(ID_AT..ID_AT + 16)).ok();
            if let Some(id) = id.and_then(|bytes| <[u8; 16]>::try_from(bytes.as_slice()).ok()) {
                *votes.entry(u128::from_le_bytes(id)).or_default() += 1;
            }
        }
    }
    Ok(votes.into_iter().max_by_key(|(_, count)| *count).map(|(id, _)| DatabaseId(id)))
}

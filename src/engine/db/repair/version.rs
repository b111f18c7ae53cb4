//! Which manifest to repair: the one that CURRENT names, or the newest that proves itself.

use super::report::{Loss, LossKind, RepairReport};
use crate::common::{Error, Result};
use crate::db::manifest::{self, Stored};
use crate::format::layout;
use crate::io::Storage;

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
    let Some(found) = numbers.iter().rev().find_map(|number| manifest::load_number(source, *number).ok())
    else {
        return Err(Error::corrupt(
            layout::CURRENT,
            0,
            format!("{why}; and no manifest proves itself, so that nothing tells what the other files mean"),
        ));
    };
    let number = found.manifest.number;
    match newest.filter(|newest| *newest > number) {
        Some(newest) => report.losses.push(Loss::new(
            LossKind::Versions,
            layout::manifest(newest),
            format!("{why}; manifest {number} is the newest that proves itself, and the state is that of it"),
        )),
        None if named.is_some() => {}
        None => report.notes.push(format!(
            "CURRENT: {why}; manifest {number} is the newest there is, and whether there was a newer one is unknown"
        )),
    }
    Ok(found)
}

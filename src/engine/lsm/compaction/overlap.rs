//! Files of one level that hold the same keys: what a point read pays for.

use super::shape::{FAN_IN, FileShape, INPUTS_MAX};

/// The most files of `level` that all hold one key and are of like size; `None` below [`FAN_IN`].
///
/// A sweep over the files in key order: those that hold the key at which the next one starts are the candidates.
pub(super) fn crowded(files: &[FileShape<'_>], level: u8) -> Option<Vec<usize>> {
    let mut order: Vec<usize> =
        (0..files.len()).filter(|&i| files[i].settled && files[i].level == level).collect();
    order.sort_by_key(|&i| files[i].min_key);
    let (mut open, mut best): (Vec<usize>, Option<Vec<usize>>) = (Vec::new(), None);
    for i in order {
        open.retain(|&other| files[other].max_key >= files[i].min_key);
        open.push(i);
        if open.len() > best.as_ref().map_or(FAN_IN - 1, Vec::len) {
            let found = alike(files, &open);
            if found.len() > best.as_ref().map_or(FAN_IN - 1, Vec::len) {
                best = Some(found);
            }
        }
    }
    best
}

/// The most members of which none is larger than the others together, so that a merge at least doubles what every
/// byte lies in, and no byte is merged more often than the logarithm of the table.
pub(super) fn alike(files: &[FileShape<'_>], members: &[usize]) -> Vec<usize> {
    let mut by_size = members.to_vec();
    by_size.sort_by_key(|&i| files[i].live_bytes());
    by_size.truncate(INPUTS_MAX);
    let mut total: u64 = by_size.iter().map(|&i| files[i].live_bytes()).sum();
    while let Some(&largest) = by_size.last() {
        let bytes = files[largest].live_bytes();
        if bytes <= total - bytes {
            break;
        }
        by_size.pop();
        total -= bytes;
    }
    by_size
}

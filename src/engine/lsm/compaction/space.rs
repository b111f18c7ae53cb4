//! Files with many dead rows, and neighbours that are small: what is merged for space.

use super::overlap::alike;
use super::shape::{Choice, FAN_IN, FileShape, INPUTS_MAX, Reason, Sizes};

/// Share of dead bytes over all files at which the worst file is rewritten: space stays below 1.25 times the live
/// bytes.
pub const DEAD_SHARE_TOTAL: f64 = 0.2;
/// Share of dead rows at which a file is rewritten whatever the others look like.
pub const DEAD_SHARE_MAX: f64 = 0.3;

/// Files that only have to be removed.
pub(super) fn wholly_dead(files: &[FileShape<'_>]) -> Option<Choice> {
    let gone: Vec<usize> =
        (0..files.len()).filter(|&i| files[i].settled && files[i].dead >= files[i].rows).collect();
    if gone.is_empty() { None } else { Choice::new(gone, 0, Reason::Expired) }
}

/// The file to rewrite for its dead rows.
pub(super) fn mostly_dead(files: &[FileShape<'_>]) -> Option<usize> {
    let total: u64 = files.iter().map(|file| file.bytes + file.blob_bytes).sum();
    let dead: u64 = files.iter().map(FileShape::dead_bytes).sum();
    let limit = if dead as f64 > total as f64 * DEAD_SHARE_TOTAL { 0.0 } else { DEAD_SHARE_MAX };
    let candidates = (0..files.len()).filter(|&i| files[i].settled && files[i].dead_share() > limit);
    candidates.max_by(|&a, &b| files[a].dead_share().total_cmp(&files[b].dead_share()))
}

/// The first files, of those in `order`, that follow one another and are all small and of like size.
pub(super) fn small_neighbours(files: &[FileShape<'_>], order: &[usize], sizes: Sizes) -> Option<Vec<usize>> {
    let small = |i: &usize| files[*i].settled && files[*i].live_bytes() < sizes.file / 2;
    for run in order.split(|i| !small(i)).filter(|run| run.len() >= FAN_IN) {
        for window in run.windows(FAN_IN) {
            if alike(files, window).len() == FAN_IN {
                return Some(extended(files, run, window, sizes));
            }
        }
    }
    None
}

/// `window` with the like files that follow it in `run`, up to one full file.
fn extended(files: &[FileShape<'_>], run: &[usize], window: &[usize], sizes: Sizes) -> Vec<usize> {
    let start = run.iter().position(|i| *i == window[0]).unwrap_or(0);
    let mut members = window.to_vec();
    let mut bytes: u64 = members.iter().map(|&i| files[i].live_bytes()).sum();
    for &next in run.iter().skip(start + window.len()).take(INPUTS_MAX - window.len()) {
        let more = files[next].live_bytes();
        if more > bytes || bytes + more > sizes.file {
            break;
        }
        members.push(next);
        bytes += more;
    }
    members
}

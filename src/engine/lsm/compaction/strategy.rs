//! Which files to merge: size tiers, and files that are mostly dead. A pure function of the files' shapes.
//!
//! Tiers grow by [`FAN_IN`]; four files of one tier become one of the next (the universal compaction of RocksDB, here
//! per table). Space is bounded because a file with more than [`DEAD_SHARE_MAX`] dead rows is rewritten by itself.

/// Files of one tier that are merged together.
pub const FAN_IN: usize = 4;
/// Share of dead rows at which a file is rewritten.
pub const DEAD_SHARE_MAX: f64 = 0.3;
/// Live bytes below which every file counts as of the lowest tier.
const TIER_BYTES_MIN: u64 = 1 << 20;

/// What the strategy needs to know of a file.
#[derive(Clone, Copy, Debug)]
pub struct FileShape {
    /// Bytes on disk.
    pub bytes: u64,
    /// Rows in it.
    pub rows: u64,
    /// Rows deleted.
    pub dead: u64,
    /// It holds nothing newer than the oldest unflushed row, so that it may be merged.
    pub settled: bool,
}

impl FileShape {
    fn live_bytes(&self) -> u64 {
        if self.rows == 0 {
            0
        } else {
            (self.bytes as f64 * (self.rows - self.dead) as f64 / self.rows as f64) as u64
        }
    }

    fn tier(&self) -> u32 {
        (self.live_bytes().max(TIER_BYTES_MIN) / TIER_BYTES_MIN).ilog(FAN_IN as u64)
    }

    fn mostly_dead(&self) -> bool {
        self.dead as f64 > self.rows as f64 * DEAD_SHARE_MAX
    }
}

/// What to do next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Choice {
    /// The files are in good shape.
    Nothing,
    /// Merge the files at these positions.
    Merge(Vec<usize>),
}

/// Chooses for one table; `full` is the size at which a file is not merged for its size any more.
#[must_use]
pub fn choose(files: &[FileShape], full: u64) -> Choice {
    if let Some(dead) = files.iter().position(|file| file.settled && file.mostly_dead()) {
        return Choice::Merge(vec![dead]);
    }
    let mergeable = |file: &FileShape| file.settled && file.live_bytes() < full / 2;
    let tiers = files.iter().filter(|file| mergeable(file)).map(FileShape::tier).max();
    for tier in 0..=tiers.unwrap_or(0) {
        let members: Vec<usize> =
            (0..files.len()).filter(|&i| mergeable(&files[i]) && files[i].tier() == tier).collect();
        if members.len() >= FAN_IN {
            return Choice::Merge(members);
        }
    }
    Choice::Nothing
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(mib: u64, dead_percent: u64) -> FileShape {
        FileShape { bytes: mib << 20, rows: 100, dead: dead_percent, settled: true }
    }

    #[test]
    fn four_of_a_tier_are_merged() {
        let files = [file(1, 0), file(20, 0), file(2, 0), file(1, 0)];
        assert_eq!(choose(&files, 256 << 20), Choice::Nothing);
        let files = [file(1, 0), file(20, 0), file(2, 0), file(1, 0), file(3, 0)];
        assert_eq!(choose(&files, 256 << 20), Choice::Merge(vec![0, 2, 3, 4]));
    }

    #[test]
    fn a_mostly_dead_file_is_rewritten_alone() {
        assert_eq!(choose(&[file(200, 10), file(200, 31)], 256 << 20), Choice::Merge(vec![1]));
    }

    #[test]
    fn full_and_unsettled_files_rest() {
        assert_eq!(choose(&[file(200, 0); 8], 256 << 20), Choice::Nothing);
        let unsettled = FileShape { settled: false, ..file(1, 90) };
        assert_eq!(choose(&[unsettled; 8], 256 << 20), Choice::Nothing);
    }

    #[test]
    fn files_stay_few_under_any_load() {
        let mut files: Vec<FileShape> = Vec::new();
        for _ in 0..1000 {
            files.push(file(1, 0));
            while let Choice::Merge(members) = choose(&files, 256 << 20) {
                let bytes = members.iter().map(|&i| files[i].bytes).sum();
                files = (0..files.len()).filter(|i| !members.contains(i)).map(|i| files[i]).collect();
                files.push(FileShape { bytes, ..file(1, 0) });
            }
            assert!(files.len() < 24, "{} files", files.len());
        }
    }
}

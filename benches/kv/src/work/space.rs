//! Bytes on disk after every row was written three more times, and files put out of the system's memory.

use std::fs::File;
use std::path::Path;

use super::Sizes;
use crate::data::{KEY, Rows};
use crate::stores::{Level, Outcome};

/// Prints bytes on disk for each live byte.
pub fn space(sizes: &Sizes) -> Outcome {
    for name in sizes.names() {
        let folder = sizes.scratch()?;
        let store = sizes.open(name, folder.path(), Level::Buffered)?;
        sizes.load(&*store)?;
        for version in 1..=3 {
            for start in (0..sizes.rows).step_by(10_000) {
                let numbers = start..(start + 10_000).min(sizes.rows);
                store.put(&Rows::new(numbers, version, sizes.value))?;
            }
        }
        // Ours gets there by itself; the others are asked for a compaction where they have one.
        store.settle()?;
        let live = sizes.rows * (KEY + sizes.value) as u64;
        let ratio = bytes(folder.path())? as f64 / live as f64;
        println!("{:<28} {name:<8} {ratio:>12.2} bytes on disk for each live byte", "3 overwrites");
    }
    Ok(())
}

fn bytes(path: &Path) -> Outcome<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut total = 0;
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let about = entry.metadata()?;
        total += if about.is_dir() { bytes(&entry.path())? } else { about.blocks() * 512 };
    }
    Ok(total)
}

/// Puts every file below `path` out of the page cache. Nobody may have them open.
pub fn evict(path: &Path) -> Outcome {
    for entry in std::fs::read_dir(path)? {
        let path = entry?.path();
        if path.is_dir() {
            evict(&path)?;
            continue;
        }
        let file = File::open(&path)?;
        file.sync_all()?;
        use std::os::fd::AsRawFd;
        // SAFETY: the descriptor is open, and the call touches no memory of ours.
        unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
    }
    Ok(())
}

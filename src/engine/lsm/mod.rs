//! L4: one table as memtables over a set of files, and how the first becomes the second.
//!
//! Updates are resolved when a memtable is flushed (merge-on-write): the flush probes its keys in the older files and
//! publishes deletion bitmaps together with the new file. So every key has at most one live row over all files, files
//! are scanned in any order without a merge, and pruning a file by any predicate is safe (rule R1): no newer version
//! of a row can be hidden and resurrect an older one. What the memtables change and no bitmap holds yet, is
//! in [`Masks`].

mod blobs;
mod codes;
pub mod columns;
pub mod compaction;
mod derived;
mod expiry;
mod file;
mod flush;
mod flush_keyed;
mod gather;
mod interleave;
mod key_range;
mod masks;
mod merge;
mod ordered;
mod output;
mod separate;
mod state;

pub use blobs::{BlobShare, KnownBlobs, blob_shares, mostly_garbage, worst};
pub use derived::{Derivation, WANTED, Wanted};
pub use expiry::Expiry;
pub use file::{Retired, TableFile};
pub use flush::{FlushOutput, flush_memtable};
pub use gather::Gather;
pub use key_range::KeyRange;
pub use masks::{Masks, Target};
pub use ordered::Ordered;
pub use output::{FileNumbers, Output, remove_files};
pub use separate::BlobPlan;
pub use state::{Published, State, TableState};

//! L3: the write-ahead log. One record per commit, in files `wal/{n}.wal` that each continue the one before.
//!
//! It knows nothing of what the payloads mean. Invariants:
//! 1. A file appears under its name only with a whole, durable header.
//! 2. Every record testifies how much of its file was durable before it (`synced_upto`): damage below that
//!    is corruption, never a reason to return less.
//! 3. No file is changed after a crash: its successor's header records where it was cut.

mod chain;
mod evidence;
mod replay;
mod salvage;
mod writer;

#[cfg(test)]
mod tests;

pub use crate::format::wal_header::{WalEnd, WalHeader};
pub use crate::format::wal_record::may_start_record;
pub use chain::{Recovered, follow_chain, goes_on_from, recover, replay_chain};
pub use replay::{ReplayBound, WalTail, read_header, replay};
pub use salvage::{LogHead, LogPiece, log_head, log_pieces};
pub use writer::WalWriter;

use crate::common::{Epoch, FileId};
use crate::format::layout::{WAL_DIR, wal as wal_path};

/// What a log is called until its header is durable.
pub(crate) fn draft_path(file: FileId, epoch: Epoch) -> String {
    format!("{}.{epoch}.new", wal_path(file))
}

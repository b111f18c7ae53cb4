//! L3: the rows that are in the log but not yet in a file.
//!
//! A memtable is an append-only sequence of *entries* in commit order, held as columnar [`Chunk`]s and a tail of small
//! commits that no array was made of yet, with an index from key to the newest entry. What a snapshot sees is a prefix of the sequence: entry `n` belongs to it when `n`
//! is below the snapshot's limit, and is live when no entry below the limit supersedes it.
//!
//! One writer at a time (the engine's commit lock); readers never wait for it beyond a push.
//!
//! Invariants:
//! 1. Entry numbers are dense and grow with the sequence number.
//! 2. Of two entries with one key, the older is superseded by the next newer one, and by no other.
//! 3. Entries at or above a reader's limit have no effect on what it sees.

mod chunk;
mod chunks;
mod index;
mod keys;
mod notes;
mod rows;
mod tail;

#[cfg(test)]
mod tests;

pub use chunk::{Chunk, ChunkKeys, Commits, Entry, LIVE};
pub use index::{From, RadixTree, Walk};
pub use keys::Keys;
pub use notes::Notes;
pub use rows::{Found, MemTable, Newest, Reading};
pub use tail::PackedRows;

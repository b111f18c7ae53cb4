//! L2: bytes on disk, and nothing that opens a file by itself.

pub mod blob;
pub mod block;
pub mod bloom;
pub mod commit;
pub(crate) mod cursor;
pub mod deletes;
pub mod derived;
pub(crate) mod guard;
mod hash;
mod ipc_text;
pub mod key;
pub mod layout;
pub mod packed;
pub(crate) mod primitive;
pub mod row_ids;
pub mod sealed;
pub mod size;
pub mod stats;
pub mod sum;
pub mod table;
pub mod table_index;
pub mod table_options;
pub mod wal_header;
pub mod wal_record;

pub use hash::Hash128;

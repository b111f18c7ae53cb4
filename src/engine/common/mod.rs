//! L0: identifiers, errors and options. Nothing here does I/O or knows a file format.

mod error;
mod ids;
mod options;

pub use error::{ClosedReason, Error, ErrorKind, Result};
pub use ids::{ColumnId, DatabaseId, Epoch, FileId, RowId, SeqNo, TableId};
pub use options::{Durability, Options, Retention};

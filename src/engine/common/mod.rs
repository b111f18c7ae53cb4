//! L0: identifiers, errors, options, and the locks that all use. Nothing here does I/O or knows a file format.

mod clock;
mod error;
mod figures;
mod ids;
mod options;
mod secret;
mod store_options;
pub mod sync;
mod times;

pub use clock::{Clock, MonotoneClock, SetClock, SystemClock};
pub use error::{ClosedReason, Error, ErrorKind, KeyFault, Result};
pub use figures::{Figure, Figures, Metric, record_duration, record_size};
pub use ids::{ColumnId, DatabaseId, Epoch, FileId, RowId, SeqNo, TableId};
pub use options::{Durability, Options, Retention};
pub(crate) use secret::Secret;
pub use secret::{EncryptionKey, KEY_BYTES};
pub use store_options::StoreOptions;
pub use times::CommitTimes;

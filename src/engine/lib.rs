//! The durable half of Trilith: Arrow tables under a write-ahead log, without SQL.
//!
//! An [`Engine`] holds many tables, keyed or keyless. Writes go through one log and become visible together
//! ([`WriteBatch`]); a [`Snapshot`] sees all tables as of one commit. Rows are Arrow record batches on the way in, in
//! memory, on disk and on the way out.
//!
//! It is not a query engine: a [`TableView`] gives point reads and the parts of a scan, and the crate `trilith` puts
//! SQL over them. `ARCHITECTURE.md` walks through the layers, `FORMAT.md` through the bytes.

pub mod common;
pub mod db;
pub mod format;
pub mod index;
pub mod io;
pub mod lsm;
pub mod memtable;
pub mod sstable;
pub mod testing;
pub mod wal;

pub use common::{
    Clock, ClosedReason, ColumnId, DatabaseId, Durability, EncryptionKey, Epoch, Error, ErrorKind, FileId,
    KeyFault, Metric, Options, Result, Retention, RowId, SeqNo, SetClock, StoreOptions, SystemClock, TableId,
};
pub use db::{
    AlterTable, Appender, BackupProgress, BackupReport, Change, ChangeKind, Changes, CheckReport,
    CompactionInfo, CopyMode, Damage, Engine, ExportReport, Fields, FileInfo, FileReport, FreshRows,
    IfExists, IndexInfo, IndexSpec, Isolation, Loss, LossKind, OnProgress, ROW_ID, RangeScan, RepairReport,
    Row, ScanPart, Snapshot, TableSpec, TableStats, TableView, Tag, Transaction, VacuumReport, ValuePart,
    Version, WriteBatch, WriteMode, check_path, check_storage, conform, inspect_file, inspect_path,
    key_schema, open_path, repair_path, repair_storage, restore_path, restore_storage,
};
pub use format::key::KeyCodec;
pub use format::packed::Value;
pub use format::stats::ColumnStats;
pub use format::table::{
    ColumnDef, CompactionStyle, IndexDef, IndexKind, IndexMetric, OptionTexts, PUBLIC_SCHEMA, SPARSE_KEY,
    TableDef, TableName, TableOptions, Ttl, VECTOR_KEY,
};
pub use io::{LocalStorage, MemoryStorage, Storage};
pub use lsm::{Derivation, KeyRange};

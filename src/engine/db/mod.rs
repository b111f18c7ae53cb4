//! L5: the database half that survives a crash: many tables under one log, one sequence number and one manifest.

mod appender;
mod backup;
mod batch;
mod carry;
mod check;
mod commit;
mod conform;
mod core;
mod ddl;
mod definition;
mod engine;
mod follow;
mod get;
mod group;
mod inspect;
mod maintenance;
mod manifest;
mod open;
mod range;
mod recent;
mod recovery;
mod registry;
mod repair;
mod replay;
mod scan;
mod snapshot;
mod stamp;
mod transaction;
mod vacuum;
mod view;
mod watch;

#[cfg(test)]
mod tests;

pub use appender::{Appender, WriteMode};
pub use backup::{BackupProgress, BackupReport, CopyMode, OnProgress, restore_path, restore_storage};
pub use batch::{ROW_ID, WriteBatch};
pub use check::{CheckReport, check_storage};
pub use conform::{conform, key_schema};
pub use ddl::{AlterTable, IfExists, TableSpec};
pub use engine::{Engine, FileInfo};
pub use get::Row;
pub use inspect::{Damage, Fields, FileReport, inspect_file, inspect_path};
pub use range::RangeScan;
pub use registry::{check_path, open_path};
pub use repair::{Loss, LossKind, RepairReport, repair_path, repair_storage};
pub use scan::ScanPart;
pub use snapshot::Snapshot;
pub use transaction::{Isolation, Transaction};
pub use vacuum::VacuumReport;
pub use view::TableView;

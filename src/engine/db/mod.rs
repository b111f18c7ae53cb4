//! L5: the database half that survives a crash: many tables under one log, one sequence number and one manifest.

mod appended;
mod appender;
mod backup;
mod batch;
mod carry;
mod changes;
mod check;
mod commit;
mod compaction;
mod conform;
mod core;
mod ddl;
mod definition;
mod derived;
mod engine;
mod files;
mod follow;
mod fresh;
mod get;
mod group;
mod history;
mod inspect;
mod jobs;
mod maintenance;
mod manifest;
mod open;
mod orphans;
mod past;
mod pressure;
mod range;
mod recent;
mod recovery;
mod registry;
mod repair;
mod replay;
mod reserve;
mod row;
mod scan;
mod serving;
mod snapshot;
mod stamp;
mod stats;
mod tag;
mod transaction;
mod vacuum;
mod view;
mod watch;

#[cfg(test)]
mod tests;

pub use appender::{Appender, WriteMode};
pub use backup::{
    BackupProgress, BackupReport, CopyMode, ExportReport, OnProgress, restore_path, restore_storage,
};
pub use batch::{ROW_ID, WriteBatch};
pub use changes::{Change, ChangeKind, Changes};
pub use check::{CheckReport, check_storage};
pub use conform::{conform, key_schema};
pub use ddl::{AlterTable, IfExists, TableSpec};
pub use engine::Engine;
pub use files::FileInfo;
pub use fresh::FreshRows;
pub use get::Row;
pub use history::Tag;
pub use inspect::{Damage, Fields, FileReport, inspect_file, inspect_path};
pub use jobs::CompactionInfo;
pub use past::Version;
pub use range::RangeScan;
pub use registry::{check_path, open_path};
pub use repair::{Loss, LossKind, RepairReport, repair_path, repair_storage};
pub use scan::ScanPart;
pub use snapshot::Snapshot;
pub use stats::TableStats;
pub use transaction::{Isolation, Transaction};
pub use vacuum::VacuumReport;
pub use view::TableView;

//! L5: the database half that survives a crash: many tables under one log, one sequence number and one manifest.

mod appender;
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
mod group;
mod history;
mod key_range;
mod maintenance;
mod manifest;
mod open;
mod past;
mod recent;
mod recovery;
mod registry;
mod replay;
mod scan;
mod snapshot;
mod transaction;
mod view;
mod watch;

#[cfg(test)]
mod tests;

pub use appender::{Appender, WriteMode};
pub use batch::{ROW_ID, WriteBatch};
pub use check::{CheckReport, check_storage};
pub use conform::{conform, key_schema};
pub use ddl::{AlterTable, IfExists, TableSpec};
pub use engine::{Engine, FileInfo};
pub use history::Tag;
pub use key_range::KeyRange;
pub use registry::{check_path, open_path};
pub use scan::ScanPart;
pub use snapshot::Snapshot;
pub use transaction::{Isolation, Transaction};
pub use view::TableView;

//! Trilith: an embedded analytical database. Documents, typed columns and vectors live in one durable
//! Arrow store and answer one SQL.
//!
//! ```no_run
//! # async fn example() -> trilith::Result<()> {
//! use trilith::{Database, Options};
//!
//! let db = Database::open("shop.tri", Options::default()).await?;
//! db.sql("CREATE TABLE items (id BIGINT PRIMARY KEY, kind TEXT, price DOUBLE)").await?;
//! db.sql("INSERT INTO items VALUES (1, 'tea', 3.5), (2, 'cup', 8.0)").await?;
//! db.sql("SELECT kind, price FROM items ORDER BY price").await?.show().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Changes that belong together commit together:
//!
//! ```
//! # fn main() -> trilith::Result<()> {
//! use trilith::{Database, Isolation};
//!
//! let db = Database::in_memory()?;
//! db.sql_blocking("CREATE TABLE items (id BIGINT PRIMARY KEY, price DOUBLE)")?;
//! let tx = db.begin_blocking(Isolation::Snapshot)?;
//! tx.sql_blocking("INSERT INTO items VALUES (1, 3.5)")?;
//! tx.savepoint("before")?;
//! tx.sql_blocking("DELETE FROM items")?;
//! tx.rollback_to("before")?;
//! assert_eq!(tx.table("items")?.view()?.row_count()?, 1);
//! assert_eq!(db.table("items")?.view()?.row_count()?, 0);
//! tx.commit_blocking()?;
//! assert_eq!(db.table("items")?.view()?.row_count()?, 1);
//! # Ok(())
//! # }
//! ```
//!
//! It is not a server and not a cluster: it runs inside the program that opens it. The durable half is
//! [`engine`], which knows no SQL; queries are DataFusion's.

mod collection;
mod database;
pub mod document;
mod error;
mod options;
mod query;
mod runtime;
pub mod shell;
mod table;
#[cfg(test)]
mod tidy;
mod transaction;

pub use collection::{Collection, FindOptions, UpdateResult};
pub use database::{At, Database, Query};
pub use error::{Error, ErrorKind, Result};
pub use options::{EngineOptions, Options};
pub use query::answer::Answer;
pub use query::limits;
pub use query::passing::passing_name;
pub use query::search::Search;
pub use query::types;
pub use table::{ScanOptions, Table};
pub use transaction::{Transaction, retry_delay};
pub use trilith_engine as engine;
pub use trilith_engine::{
    BackupReport, CopyMode, Durability, EncryptionKey, ExportReport, Isolation, RepairReport, TableName,
    VacuumReport, inspect_path as inspect, repair_path as repair, restore_path as restore,
};

/// Runs the Rust example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

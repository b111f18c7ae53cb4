//! SQL over snapshots: catalog, scans, writes and the statements DataFusion leaves to us.
//!
//! Reading order: `session` and `connection` (what a statement works with), `answer` (what it
//! answers with), `statements` (what each one does),
//! `table` and `scan` (how rows are read), `search` and `rules` (the nearest of them), `write` (how
//! they are changed), `system` (what the database says of itself). Invariant: one statement reads one snapshot.

pub mod answer;
pub mod catalog;
pub mod connection;
pub mod limits;
pub mod parse;
pub mod passing;
pub mod rules;
pub mod scan;
pub mod schema;
pub mod search;
pub mod session;
pub mod settings;
pub mod statements;
pub mod system;
pub mod table;
pub mod time;
pub mod types;
pub mod write;

pub(crate) use statements::create_index;

//! `BEGIN`, `COMMIT`, `ROLLBACK`, `SAVEPOINT` and their kin: what opens, ends and divides a transaction.
//!
//! Weaker levels than `SNAPSHOT` are given it, as the standard allows; PostgreSQL's `REPEATABLE READ` is the same.

use datafusion::sql::sqlparser::ast::{
    Ident, Statement as Ast, TransactionAccessMode, TransactionIsolationLevel, TransactionMode,
};
use trilith_engine::Isolation;

use super::target::folded;
use crate::error::{Error, Result};
use crate::query::connection::Connection;

/// Runs the statement when it is one about transactions; false for any other.
///
/// # Errors
/// `Invalid` when no transaction is open, or one is already; those of the commit.
pub(super) fn run(connection: &Connection, ast: &Ast) -> Result<bool> {
    match ast {
        Ast::StartTransaction { modes, statements, modifier, exception, .. } => {
            let is_plain = statements.is_empty() && modifier.is_none() && exception.is_none();
            if !is_plain {
                return Err(Error::unsupported(
                    "this form of BEGIN",
                    "write BEGIN [ISOLATION LEVEL ...] [READ ONLY]",
                ));
            }
            let (isolation, read_only) = options(modes);
            connection.begin(isolation, read_only)?;
        }
        Ast::Commit { chain, end, .. } => {
            refuse_chain(*chain)?;
            connection.end(if *end { "END" } else { "COMMIT" })?.commit()?;
        }
        Ast::Rollback { chain, savepoint: None } => {
            refuse_chain(*chain)?;
            connection.end("ROLLBACK")?.rollback();
        }
        Ast::Rollback { savepoint: Some(name), .. } => {
            connection.require("ROLLBACK TO SAVEPOINT")?.rollback_to(&savepoint(name))?;
        }
        Ast::Savepoint { name } => connection.require("SAVEPOINT")?.savepoint(&savepoint(name))?,
        Ast::ReleaseSavepoint { name } => {
            connection.require("RELEASE SAVEPOINT")?.release(&savepoint(name))?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn options(modes: &[TransactionMode]) -> (Isolation, bool) {
    let (mut isolation, mut read_only) = (Isolation::Snapshot, false);
    for mode in modes {
        match mode {
            TransactionMode::IsolationLevel(level) => {
                isolation = match level {
                    TransactionIsolationLevel::Serializable => Isolation::Serializable,
                    _ => Isolation::Snapshot,
                };
            }
            TransactionMode::AccessMode(access) => read_only = *access == TransactionAccessMode::ReadOnly,
        }
    }
    (isolation, read_only)
}

fn refuse_chain(chain: bool) -> Result<()> {
    match chain {
        true => Err(Error::unsupported("AND CHAIN", "write BEGIN for the next transaction")),
        false => Ok(()),
    }
}

fn savepoint(name: &Ident) -> String {
    folded(name)
}

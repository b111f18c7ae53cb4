//! `trilith check PATH`: reads every byte of a database and says what is damaged.

use std::path::Path;

use super::key::KeyArgument;
use super::session::output_error;
use super::{Console, FAILED};
use crate::error::Result;

/// Verifies a database; the status tells whether it is whole.
pub(super) fn run(path: &Path, key: &KeyArgument, console: &mut Console<'_>) -> Result<i32> {
    let key = key.read()?;
    let err = &mut *console.err;
    let report = trilith_engine::check_path(path, key.as_ref(), &mut |file| {
        // Progress is a courtesy: a closed error stream must not stop the check.
        let _shown = writeln!(err, "checking {file}");
    })?;
    for problem in &report.problems {
        writeln!(console.out, "damaged: {problem}").map_err(output_error)?;
    }
    let verdict = match report.problems.len() {
        0 => "no damage".to_owned(),
        damaged => format!("{damaged} damaged; restore from a backup"),
    };
    let (files, bytes, rows) = (report.files, report.bytes, report.rows);
    writeln!(console.out, "{files} files, {bytes} bytes, {rows} rows: {verdict}").map_err(output_error)?;
    Ok(if report.problems.is_empty() { 0 } else { FAILED })
}

//! H15: what processes do to each other and to themselves, cell by cell: second openers, writers that were stopped and
//! come back, handles across fork and exec, limits, paths, clocks, folders that cannot be written to.
//!
//! In each cell real processes work on a real folder; what they acknowledged must be there, and what they could not do
//! must be an error. A cell that this machine cannot set up is counted as `skipped`.

use std::path::Path;

use crate::h3_child::Progress;
use crate::h7_open::scratch;
use crate::lanes;
use crate::report::{Budget, Report, Verdict};
use crate::worker;
use crate::{h15_limits, h15_paths, h15_writers};

/// A database to start from, in a folder of the cell's own.
pub struct Ground<'a> {
    /// The database.
    pub folder: &'a Path,
    /// What it holds.
    pub before: Progress,
}

/// How a cell comes out; `Ok(false)` when it cannot be set up here.
pub type Outcome = Result<bool, Verdict>;

/// A cell, by name.
pub type Cell = (String, Box<dyn Fn(&Ground<'_>) -> Outcome + Sync>);

/// Names a cell.
pub fn cell(name: impl Into<String>, play: impl Fn(&Ground<'_>) -> Outcome + Sync + 'static) -> Cell {
    (name.into(), Box::new(play))
}

/// Fails a cell unless `holds`.
pub fn require(holds: bool, what: impl std::fmt::Debug) -> Result<(), Verdict> {
    if holds { Ok(()) } else { Err(Verdict::Wrong(format!("{what:?}"))) }
}

/// A verdict as the outcome of a cell.
pub fn outcome(verdict: Verdict) -> Outcome {
    match verdict {
        Verdict::Survived => Ok(true),
        verdict => Err(verdict),
    }
}

fn table() -> Vec<Cell> {
    let mut cells = h15_writers::cells();
    cells.extend(h15_paths::cells());
    cells.extend(h15_limits::cells());
    cells
}

/// Runs the harness: the table from end to end, as often as there is time for.
pub fn harness(budget: &Budget) -> Report {
    let cells = table();
    let template = scratch();
    let before = worker::template(template.path());
    let mut report = lanes::run(budget, |seed, report| {
        let (name, play) = &cells[(seed % cells.len() as u64) as usize];
        let folder = scratch();
        worker::copy(template.path(), folder.path());
        match play(&Ground { folder: folder.path(), before }) {
            Ok(true) => report.count(Verdict::Survived),
            Ok(false) => report.add("skipped", 1),
            Err(verdict) => report.count(verdict.at(name)),
        }
    });
    report.add("cells", cells.len() as u64);
    report
}

/// The test of the test: a second writer that was let in is noticed.
pub fn notices_a_second_writer() -> bool {
    let folder = scratch();
    let before = worker::template(folder.path());
    h15_writers::opener_is_refused(&Ground { folder: folder.path(), before }, true).is_err()
}

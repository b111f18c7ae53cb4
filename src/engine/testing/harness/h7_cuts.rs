//! H7: every file of a closed database cut at every length, made longer, removed, blanked, or replaced by another
//! file; and files of an open one cut or removed under a reader, on a real folder.
//!
//! The open half runs in a process of its own, since a mapping of a file that was cut short ends the process.

use std::process::{Command, Stdio};

use trilith_engine::testing::SimStorage;

use crate::lanes;
use crate::report::{Budget, Report, Verdict};
use crate::specimen::{Specimen, specimen};

/// Share of the time for the closed half.
const CLOSED: f64 = 0.75;
/// Cases in one trial.
const BATCH: u64 = 64;
const STRIDE: u64 = 7919;
const BLOCK: usize = 512;

/// What happens to a file.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Cut(usize),
    Extend(usize),
    Remove,
    Blank(usize),
    /// The content of the specimen's file at this position.
    Copy(usize),
    /// The file of the same name in another database.
    Foreign,
}

/// Runs the harness.
pub fn harness(budget: &Budget) -> Report {
    let (specimen, other) = (specimen(), specimen());
    let cases = cases(&specimen);
    let closed = Budget { secs: budget.secs * CLOSED, ..*budget };
    let mut report = lanes::run(&closed, |seed, report| {
        for n in 0..BATCH {
            let at = seed.wrapping_sub(budget.seed) * BATCH + n;
            let at = (budget.seed + at * STRIDE) % cases.len() as u64;
            let (file, damage) = cases[at as usize];
            inflict(&specimen, &other, file, damage, at, report);
        }
    });
    report.add("cases", cases.len() as u64);
    if report.failures.is_empty() {
        report.merge(open_half(&Budget::new(budget.seed, budget.secs * (1.0 - CLOSED))));
    }
    report
}

fn cases(specimen: &Specimen) -> Vec<(usize, Damage)> {
    let mut cases = Vec::new();
    for (file, (_, bytes)) in specimen.files.iter().enumerate() {
        cases.extend((0..bytes.len()).map(|len| (file, Damage::Cut(len))));
        cases.extend([1, 7, 96, 4096].map(|more| (file, Damage::Extend(more))));
        cases.extend((0..bytes.len()).step_by(BLOCK).map(|start| (file, Damage::Blank(start))));
        cases.extend(
            (0..specimen.files.len()).filter(|&other| other != file).map(|other| (file, Damage::Copy(other))),
        );
        cases.extend([(file, Damage::Remove), (file, Damage::Foreign)]);
    }
    cases
}

fn inflict(specimen: &Specimen, other: &Specimen, file: usize, damage: Damage, at: u64, report: &mut Report) {
    let (path, bytes) = &specimen.files[file];
    let mut damaged = bytes.clone();
    match damage {
        Damage::Cut(len) => damaged.truncate(len),
        Damage::Extend(more) => damaged.extend((0..more).map(|i| (at as usize * i) as u8)),
        Damage::Blank(start) => {
            let end = bytes.len().min(start + BLOCK);
            damaged[start..end].fill(0);
        }
        Damage::Copy(from) => damaged.clone_from(&specimen.files[from].1),
        Damage::Foreign => {
            damaged =
                other.files.iter().find(|(name, _)| name == path).map_or(damaged, |(_, bytes)| bytes.clone())
        }
        Damage::Remove => {}
    }
    let disk =
        if matches!(damage, Damage::Remove) { without(specimen, path) } else { specimen.disk.kill_image() };
    if !matches!(damage, Damage::Remove) {
        disk.plant(path, &damaged);
    }
    let (noticed, verdict) = specimen.judge(disk, &[path], at.is_multiple_of(2));
    report.add(if noticed { "noticed" } else { "harmless" }, 1);
    report.count(verdict.at(&format!("{damage:?} of {path}")));
}

fn without(specimen: &Specimen, path: &str) -> SimStorage {
    let disk = SimStorage::new();
    for (name, bytes) in specimen.files.iter().filter(|(name, _)| name != path) {
        disk.plant(name, bytes);
    }
    disk
}

fn open_half(budget: &Budget) -> Report {
    let mut report = Report::default();
    let program = std::env::current_exe().unwrap();
    let args = ["--h7-open".to_owned(), budget.seed.to_string(), budget.secs.to_string()];
    let output = Command::new(program).args(args).stderr(Stdio::inherit()).output().unwrap();
    lanes::tick();
    let text = String::from_utf8_lossy(&output.stdout);
    let cases = text.lines().filter(|line| *line == "ok").count() as u64;
    report.injected += cases;
    report.survived += cases;
    report.add("open", cases);
    if let Some(line) = text.lines().find(|line| line.starts_with("wrong ")) {
        report.count(Verdict::Wrong(line.to_owned()));
    }
    if !output.status.success() {
        let last = text.lines().last().unwrap_or_default();
        report.count(Verdict::Crash(format!("{} after {last:?}", output.status)));
    }
    report
}

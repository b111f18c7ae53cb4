//! H19: backup beside a writer, repair of databases damaged in any way, and databases of every released format.
//!
//! A repair may lose what the damage reached, and must say so exactly: what is in the repaired database, and what it
//! declares lost, are together what there was; no row is in both, or in neither, or other than it was.

use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use trilith_engine::io::{KEYS, Storage};
use trilith_engine::testing::SimStorage;
use trilith_engine::{Engine, LossKind, Options, RepairReport, repair_storage};

use crate::arrow_rows::read_state;
use crate::golden;
use crate::h19_backup;
use crate::lanes;
use crate::model::{Change, State, Table, Value};
use crate::op::{self, Op};
use crate::report::{Budget, Report, Verdict};
use crate::specimen::{self, Specimen, specimen};

/// Repairs for each life of a writer that is backed up.
const REPAIRS: u64 = 24;

/// Runs the harness.
pub fn harness(budget: &Budget) -> Report {
    let specimens = [specimen(), specimen()];
    let mut report = lanes::run(budget, |seed, report| {
        let before = report.injected;
        h19_backup::trial(seed, report);
        report.add("backups", report.injected - before);
        for n in 0..REPAIRS {
            let mut dice = SmallRng::seed_from_u64(seed.wrapping_mul(REPAIRS) + n);
            let (disk, damaged) = damage(&specimens, &mut dice);
            let verdict = repair(&specimens[0], &disk, &damaged, report);
            report.add("repairs", 1);
            report.count(verdict.at(&format!("seed {seed}, repair {n} of {damaged:?}")));
            if !report.failures.is_empty() {
                return;
            }
        }
    });
    golden::open_all(&mut report);
    report
}

/// The first specimen with one to three files that are not as they were.
fn damage(specimens: &[Specimen; 2], dice: &mut SmallRng) -> (SimStorage, Vec<String>) {
    let files = &specimens[0].files;
    let disk = specimens[0].disk.kill_image();
    let mut damaged = Vec::new();
    for _ in 0..dice.random_range(1..=3) {
        let at = dice.random_range(0..files.len());
        let (path, bytes) = &files[at];
        if path == "LOCK" {
            continue;
        }
        match worse(bytes, &specimens[1].files[at].1, dice) {
            Some(worse) => disk.plant(path, &worse),
            None => disk.remove(path).unwrap(),
        }
        damaged.push(path.clone());
    }
    (disk, damaged)
}

/// `bytes` after an accident; `None` when the file is gone.
fn worse(bytes: &[u8], foreign: &[u8], dice: &mut SmallRng) -> Option<Vec<u8>> {
    let mut worse = bytes.to_vec();
    let at = dice.random_range(0..bytes.len().max(1));
    match dice.random_range(0..8) {
        0 => return None,
        1 => worse.truncate(at),
        2 => worse.extend_from_slice(&foreign[..at.min(foreign.len())]),
        3 => worse = foreign.to_vec(),
        4 => worse.iter_mut().skip(at / 512 * 512).take(512).for_each(|byte| *byte = 0),
        5 => {
            let block = at / 512 * 512;
            let other = bytes[..512.min(bytes.len())].to_vec();
            worse.iter_mut().skip(block).zip(other).for_each(|(byte, other)| *byte = other);
        }
        _ => {
            for _ in 0..dice.random_range(1..4) {
                let at = dice.random_range(0..bytes.len().max(1));
                worse.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << dice.random_range(0..8));
            }
        }
    }
    Some(worse)
}

fn repair(specimen: &Specimen, disk: &SimStorage, damaged: &[String], report: &mut Report) -> Verdict {
    let target = SimStorage::new();
    let keys_are_gone = damaged.iter().any(|path| path == KEYS);
    let repaired = crate::encrypted::view(disk.clone())
        .and_then(|source| repair_storage(&source, Arc::new(target.clone()), &mut |_| Ok(())));
    let told = match repaired {
        Ok(told) => told,
        Err(error) => {
            let catalogs = specimen.files.iter().filter(|(path, _)| path.ends_with(".mf"));
            let gone = catalogs.into_iter().all(|(path, _)| damaged.contains(path));
            report.add("hopeless", 1);
            return if gone || keys_are_gone {
                Verdict::Survived
            } else {
                Verdict::Wrong(format!("no repair: {error}"))
            };
        }
    };
    report.add("losses", told.losses.len() as u64);
    let opened = Engine::open(Arc::new(target), Options { read_only: true, ..specimen::options() })
        .and_then(|engine| read_state(&engine.snapshot()?));
    match opened {
        Ok(found) => compare(specimen, &found, &told),
        Err(error) => Verdict::Wrong(format!("the repaired database does not open: {error}\n{told}")),
    }
}

/// Survivors against the complement of what is declared.
fn compare(specimen: &Specimen, found: &State, told: &RepairReport) -> Verdict {
    let older = told.losses.iter().any(|loss| loss.kind == LossKind::Versions);
    let expected = without_lost_commits(specimen, told);
    for (name, expected) in &expected {
        let Some(found) = found.get(name) else {
            if older {
                continue;
            }
            return Verdict::Lost(format!("table {name} is gone\n{told}"));
        };
        if let Some((_, row)) = found.rows.iter().find(|(key, row)| expected.rows.get(*key) != Some(*row)) {
            return Verdict::Wrong(format!("table {name} holds {row:?}, which is not declared\n{told}"));
        }
        if let Some(text) = undeclared(name, expected, found, specimen, told) {
            return Verdict::Lost(format!("{text}\n{told}"));
        }
    }
    Verdict::Survived
}

/// What the database would hold had the commits that are declared lost never been.
fn without_lost_commits(specimen: &Specimen, told: &RepairReport) -> State {
    let is_lost = |seq: u64| {
        let ranges = told.losses.iter().filter_map(|loss| loss.seqs);
        ranges.into_iter().any(|(first, last)| first <= seq && last.is_none_or(|last| seq <= last))
    };
    let mut state = State::new();
    for (step, seq) in &specimen.steps {
        if !(matches!(step, Op::Batch(..)) && is_lost(*seq)) {
            op::apply(&mut state, step);
        }
    }
    state
}

/// Rows that are missing and that no loss covers, or more rows declared than are missing.
fn undeclared(
    name: &str,
    expected: &Table,
    found: &Table,
    specimen: &Specimen,
    told: &RepairReport,
) -> Option<String> {
    let losses: Vec<_> = told
        .losses
        .iter()
        .filter(|loss| loss.rows.is_some() && loss.table.as_deref() == Some(name))
        .collect();
    let missing: Vec<_> = expected.rows.iter().filter(|(key, _)| !found.rows.contains_key(*key)).collect();
    if expected.key > 0 {
        let covered = |key: &[Value]| {
            let Some(Value::Int(id)) = key.first() else { return false };
            let encoded = (*id as u64 ^ 1 << 63).to_be_bytes();
            let ranges = losses.iter().filter_map(|loss| loss.encoded_keys.as_ref());
            ranges.into_iter().any(|(first, last)| **first <= encoded[..] && encoded[..] <= **last)
        };
        if let Some((_, row)) = missing.iter().find(|(key, _)| !covered(key)) {
            return Some(format!("table {name}: {row:?} is missing, and no loss covers its key"));
        }
    }
    let declared: u64 = losses.iter().filter_map(|loss| loss.rows).sum();
    // A row of a lost file may have a newer version in the log, or be deleted there.
    let touched = touched(name, specimen);
    let missing = missing.len() as u64;
    if declared < missing || declared > missing + touched {
        return Some(format!("table {name}: {missing} rows are missing, and {declared} are declared"));
    }
    None
}

/// Rows that commits of the log wrote or deleted.
fn touched(name: &str, specimen: &Specimen) -> u64 {
    let changes = specimen.steps.iter().filter_map(|(step, _)| match step {
        Op::Batch(changes, _) => Some(changes),
        _ => None,
    });
    let rows = |(table, change): &(String, Change)| if table == name { change.rows().len() } else { 0 };
    changes.flatten().map(rows).sum::<usize>() as u64
}

/// A repaired database of which one row was taken out again must not pass.
pub fn notices_an_undeclared_loss() -> bool {
    let specimen = specimen();
    let (mut found, told) = (specimen.state.clone(), RepairReport::default());
    let whole = matches!(compare(&specimen, &found, &told), Verdict::Survived);
    let table = found.get_mut("m").map(Arc::make_mut);
    whole
        && table.is_some_and(|table| table.rows.pop_first().is_some())
        && matches!(compare(&specimen, &found, &told), Verdict::Lost(_))
}

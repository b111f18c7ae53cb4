//! H6: every bit of every file of a closed database, flipped one at a time.
//!
//! Demands the same rows or an error that names the file, never a panic, and no silence: what no reader notices must
//! be bytes that mean nothing.

use trilith_engine::check_storage;
use trilith_engine::testing::SimStorage;

use crate::lanes;
use crate::report::{Budget, Report, Verdict};
use crate::seals::reseal;
use crate::specimen::{Specimen, sound, specimen};

/// Flips in one trial.
const BATCH: u64 = 64;
/// Odd, so that a step of it meets every bit once before any twice.
const STRIDE: u64 = 7919;

/// Runs the harness.
pub fn harness(budget: &Budget) -> Report {
    let specimen = specimen();
    let bits: u64 = specimen.files.iter().map(|(_, bytes)| bytes.len() as u64 * 8).sum();
    let mut report = lanes::run(budget, |seed, report| {
        for n in 0..BATCH {
            let at = seed.wrapping_sub(budget.seed) * BATCH + n;
            flip(&specimen, (budget.seed % bits + at % bits * STRIDE) % bits, report);
        }
    });
    if !sound(&specimen) {
        report.count(Verdict::Wrong("the specimen itself does not read as it should".into()));
    }
    report.add("bits", bits);
    report.add("files", specimen.files.len() as u64);
    report
}

fn flip(specimen: &Specimen, mut bit: u64, report: &mut Report) {
    for (path, bytes) in &specimen.files {
        let size = bytes.len() as u64 * 8;
        if bit >= size {
            bit -= size;
            continue;
        }
        let mut damaged = bytes.clone();
        damaged[(bit / 8) as usize] ^= 1 << (bit % 8);
        let disk = specimen.disk.kill_image();
        disk.plant(path, &damaged);
        let (noticed, verdict) = specimen.judge(disk.clone(), &[path], !bit.is_multiple_of(4));
        let silent = match path.rsplit_once('.').map(|(_, kind)| kind) {
            Some("mf") => "silent_mf",
            Some("wal") => "silent_wal",
            Some("arrow") => "silent_arrow",
            Some("sum") => "silent_sum",
            Some("del") => "silent_del",
            Some("blob") => "silent_blob",
            _ => "silent_current",
        };
        report.add(if noticed { "noticed" } else { silent }, 1);
        if !noticed && bit.is_multiple_of(16) {
            let checked = crate::encrypted::view(disk).and_then(|disk| check_storage(&disk, &mut |_| {}));
            report.add("silent_check", u64::from(checked.is_ok_and(|checked| checked.problems.is_empty())));
        }
        report.count(verdict.at(&format!("bit {bit} of {path}")));
        return;
    }
}

/// Plants a manifest that lacks a row file and is sealed as a real one: nothing can notice but the comparison.
pub fn notices_forged_manifest() -> bool {
    let specimen = specimen();
    let disk = specimen.disk.kill_image();
    forge(&disk).is_some_and(|()| matches!(specimen.judge(disk, &["CURRENT"], false).1, Verdict::Wrong(_)))
}

fn forge(disk: &SimStorage) -> Option<()> {
    reseal(disk, |payload| {
        let mut manifest: serde_json::Value = serde_json::from_slice(payload).ok()?;
        manifest["tables"][0]["files"].as_array_mut()?.pop()?;
        serde_json::to_vec(&manifest).ok()
    })
}

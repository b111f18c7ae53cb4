//! H4: the power goes while a real process writes to a real file system: ext4, XFS and Btrfs, on loop devices.
//!
//! A cut takes the image as it is at a moment when no write to it is under way; what the system holds in memory is
//! thereby lost. A copy of the image is mounted and opened, and must hold what was acknowledged at `group` and `strict`,
//! of the other levels all but the newest, and nothing else. Then the process goes on, or is killed and another begins.
//! Writes reach the image in order: H5 is about those that do not.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::doomed::Doomed;
use crate::h7_open::scratch;
use crate::report::{Budget, Report, Verdict};
use crate::shim::Strike;
use crate::truth::{self, Truth};
use crate::volumes::{self, Device, Kind, Template};
use crate::{lanes, mounts};

/// Cuts that one file system sees.
const CUTS: u64 = 12;
/// Attempts to copy an image that nobody writes to.
const ATTEMPTS: u32 = 1000;

/// Runs the harness.
pub fn harness(budget: &Budget) -> Report {
    cuts(budget, None)
}

/// Runs it on a process whose calls may lie.
pub fn cuts(budget: &Budget, bug: Option<Strike>) -> Report {
    let (templates, missing) = volumes::templates();
    if templates.is_empty() {
        return Report::skipped(missing.join("; "));
    }
    let mut report = lanes::run(budget, |seed, report| {
        let template = &templates[seed as usize % templates.len()];
        let place = |verdict: Verdict| verdict.at(&format!("seed {seed}, {}", template.kind.name));
        match trial(template, seed, bug, report) {
            Ok(()) => {}
            Err(Trouble::Found(verdict)) => report.count(place(verdict)),
            Err(Trouble::Machine(error)) => report.count(place(Verdict::Wrong(error.to_string()))),
        }
    });
    missing.iter().for_each(|_| report.add("kinds_missing", 1));
    report
}

/// Why a trial ends early.
#[derive(Debug)]
pub enum Trouble {
    /// What it was looking for.
    Found(Verdict),
    /// A call of the harness itself failed.
    Machine(io::Error),
}

impl From<Verdict> for Trouble {
    fn from(verdict: Verdict) -> Self {
        Self::Found(verdict)
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Machine(error)
    }
}

fn trial(template: &Template, seed: u64, bug: Option<Strike>, report: &mut Report) -> Result<(), Trouble> {
    mounts::of_this_thread()?;
    let mut dice = SmallRng::seed_from_u64(seed);
    let (kind, folder) = (template.kind, scratch());
    let (live, after) = (folder.path().join("live"), folder.path().join("after"));
    [&live, &after].into_iter().try_for_each(std::fs::create_dir)?;
    let image = template.copy()?;
    let device = Device::new(&image)?;
    let _mounted = device.mount(kind, &live, kind.draw(&mut dice))?;
    let mut truth = Truth::default();
    let mut process = None;
    for _ in 0..CUTS {
        let worker: &mut Doomed = match &mut process {
            Some(worker) => worker,
            none => none.insert(Doomed::start(&live.join("db"), dice.random(), bug)?),
        };
        std::thread::sleep(Duration::from_micros(dice.random_range(500..25_000)));
        worker.stop();
        worker.tell(&mut truth);
        let before = truth.clone();
        let copied = quiet_copy(&image, &device)?;
        let ended = !worker.has_stopped();
        worker.tell(&mut truth);
        if let Some(complaint) = truth.complaint.take().or(ended.then(|| "it ended by itself".into())) {
            return Err(Verdict::Wrong(format!("the process: {complaint}")).into());
        }
        let found = look(kind, &copied, &after, &mut dice)?;
        match before.judge(found, &truth) {
            Verdict::Survived => report.count(Verdict::Survived),
            verdict => return Err(verdict.into()),
        }
        report.add(kind.name, 1);
        if dice.random_ratio(1, 3) {
            process = None;
        } else {
            worker.go_on();
        }
        lanes::tick();
    }
    report.add("acked", truth.len() as u64);
    Ok(())
}

/// The image at a moment when no write to it was under way.
fn quiet_copy(image: &File, device: &Device) -> io::Result<File> {
    for _ in 0..ATTEMPTS {
        let before = device.written()?;
        if before.is_some() {
            let copied = volumes::copy(image)?;
            if device.written()? == before {
                return Ok(copied);
            }
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    Err(io::Error::other("the device never rests"))
}

/// What the database on an image holds. The image is changed by that.
pub fn look(
    kind: &Kind,
    image: &File,
    folder: &Path,
    dice: &mut SmallRng,
) -> Result<crate::h3_child::Progress, Trouble> {
    let device = Device::new(image)?;
    let mounted = device.mount(kind, folder, kind.after)?;
    drop(device);
    Ok(truth::recovered(&mounted.path().join("db"), dice)?)
}

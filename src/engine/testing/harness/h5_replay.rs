//! H5: the log of every write and flush that a file system made while a real process worked on it, and what a power cut
//! may leave of that: all that was flushed, and of the rest nothing, everything, or any of its writes and their sectors.
//!
//! Each such image is mounted by the file system itself and opened, and judged as in H4, by what was told before the cut.

use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::block_log::{Event, Fate, Replay};
use crate::chance::pick;
use crate::doomed::Doomed;
use crate::h4_power::{Trouble, look};
use crate::h7_open::scratch;
use crate::logging_disk::LoggingDisk;
use crate::report::{Budget, Report, Verdict};
use crate::shim::Strike;
use crate::truth::Truth;
use crate::volumes::{self, Device, Template};
use crate::{lanes, mounts};

/// Images made of one log.
const IMAGES: usize = 30;
/// Processes that work on the disk, one after another.
const LIVES: u32 = 3;

/// Runs the harness.
pub fn harness(budget: &Budget) -> Report {
    replays(budget, None)
}

/// Runs it on a process whose calls may lie.
pub fn replays(budget: &Budget, bug: Option<Strike>) -> Report {
    let (templates, missing) = volumes::templates();
    let Some(first) = templates.first() else { return Report::skipped(missing.join("; ")) };
    if let Err(error) = std::thread::scope(|scope| scope.spawn(|| serves(first)).join().unwrap()) {
        return Report::skipped(format!("FUSE: {error}"));
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

/// A disk can be served here. In a thread of its own, which takes its mounts with it.
fn serves(template: &Template) -> io::Result<()> {
    mounts::of_this_thread()?;
    let folder = scratch();
    let place = folder.path().join("disk");
    File::create(&place)?;
    LoggingDisk::new(&template.copy()?, &place).map(drop)
}

fn trial(template: &Template, seed: u64, bug: Option<Strike>, report: &mut Report) -> Result<(), Trouble> {
    mounts::of_this_thread()?;
    let mut dice = SmallRng::seed_from_u64(seed);
    let log = record(template, &mut dice, bug)?;
    report.add("recorded", log.len() as u64);
    report.add("flushes", log.iter().filter(|event| matches!(event, Event::Flush)).count() as u64);
    let (mut all, mut known) = (Truth::default(), Truth::default());
    for line in lines(&log) {
        all.hear(line);
        known.reach(&all);
    }
    if let Some(complaint) = all.complaint {
        return Err(Verdict::Wrong(format!("the process: {complaint}")).into());
    }
    let folder = scratch();
    let mut replay = Replay::new(&log, template.copy()?);
    for end in cuts(&log, &mut dice) {
        let fate = *pick(&mut dice, &[Fate::Kept, Fate::Dropped, Fate::Drawn, Fate::Drawn]);
        let image = replay.cut(end, fate, template.kind.sector, &mut dice)?;
        let mut before = Truth::default();
        lines(&log[..end]).for_each(|line| before.hear(line));
        let found = match look(template.kind, &image, folder.path(), &mut dice) {
            Err(Trouble::Machine(_)) if matches!(fate, Fate::Drawn) => {
                report.add("unmountable", 1);
                continue;
            }
            found => found?,
        };
        let verdict = before.judge(found, &known);
        if !matches!(verdict, Verdict::Survived) {
            return Err(verdict.at(&format!("cut at {end}, {fate:?}")).into());
        }
        report.count(verdict);
        report.add(template.kind.name, 1);
        lanes::tick();
    }
    report.add("acked", all.len() as u64);
    Ok(())
}

fn lines(log: &[Event]) -> impl Iterator<Item = &str> {
    log.iter().filter_map(|event| match event {
        Event::Told(line) => Some(line.as_str()),
        _ => None,
    })
}

/// Where the power is cut: one half right after a flush, the others anywhere.
fn cuts(log: &[Event], dice: &mut SmallRng) -> Vec<usize> {
    let flushes: Vec<usize> = (1..=log.len()).filter(|end| matches!(log[end - 1], Event::Flush)).collect();
    let mut cuts: Vec<usize> = flushes.choose_multiple(dice, IMAGES / 2).copied().collect();
    cuts.extend((0..IMAGES / 2).map(|_| dice.random_range(0..=log.len())));
    cuts.sort_unstable();
    cuts
}

/// What a file system does while processes work on it, until it is unmounted.
fn record(template: &Template, dice: &mut SmallRng, bug: Option<Strike>) -> Result<Vec<Event>, Trouble> {
    let folder = scratch();
    let (place, live) = (folder.path().join("disk"), folder.path().join("live"));
    File::create(&place)?;
    std::fs::create_dir(&live)?;
    let disk = LoggingDisk::new(&template.copy()?, &place)?;
    let backing = File::options().read(true).write(true).open(&place)?;
    let device = Device::new(&backing)?;
    let mounted = device.mount(template.kind, &live, template.kind.draw(dice))?;
    drop((device, backing));
    for _ in 0..LIVES {
        let tell = |line: &str| disk.log.lock().push(Event::Told(line.to_owned()));
        let mut process = Doomed::start(&live.join("db"), dice.random(), bug)?;
        let end = Instant::now() + Duration::from_millis(dice.random_range(10..150));
        while Instant::now() < end && process.listen(tell) {
            process.wait(Duration::from_millis(1));
        }
        process.kill();
        process.listen(tell);
    }
    drop(mounted);
    let log = std::mem::take(&mut *disk.log.lock());
    Ok(log)
}

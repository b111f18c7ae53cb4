//! H3: a real process on a real folder, killed at any moment, again and again.
//!
//! Acknowledgements come over a pipe; the truth is kept here. After each kill the database is opened and must hold
//! every commit that the levels `buffered`, `group` and `strict` acknowledged, of the level `none` every one before
//! those, at most one more of each writer, and nothing else.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use trilith_engine::Options;

use crate::h3_child::{self, Progress};
use crate::h7_open::scratch;
use crate::lanes;
use crate::report::{Budget, Report, Verdict};

/// Kills that one database takes before another begins.
const LIVES: u64 = 12;

/// Runs the harness.
pub fn harness(budget: &Budget) -> Report {
    let recoveries = Mutex::new(Vec::new());
    let mut report = lanes::run(budget, |seed, report| {
        let folder = scratch();
        let mut dice = SmallRng::seed_from_u64(seed);
        let mut known = [0; 4];
        for life in 0..LIVES {
            match cycle(folder.path(), &mut dice, &mut known, report) {
                Ok(recovery) => {
                    recoveries.lock().push(recovery);
                    report.count(Verdict::Survived);
                }
                Err(verdict) => {
                    let place = format!("seed {seed}, life {life}, {}", keep(folder));
                    return report.count(verdict.at(&place));
                }
            }
            lanes::tick();
        }
    });
    let mut recoveries = recoveries.into_inner();
    recoveries.sort();
    let at = |share: f64| {
        recoveries.get((recoveries.len() as f64 * share) as usize).map_or(0, |time| time.as_micros() as u64)
    };
    report.add("open_us_p50", at(0.5));
    report.add("open_us_p99", at(0.99));
    report.add("open_us_max", recoveries.last().map_or(0, |time| time.as_micros() as u64));
    report
}

/// Leaves the folder behind, to be looked at.
fn keep(folder: tempfile::TempDir) -> String {
    folder.keep().display().to_string()
}

/// What a life of the child told.
#[derive(Debug, Default)]
struct Told {
    /// Last acknowledged commit of each writer.
    acked: Progress,
    /// Acknowledged commits of the level `none`, with their sequence numbers.
    unsafe_commits: Vec<(i64, u64)>,
    /// Highest sequence number that must be there.
    safe_seq: u64,
    count: u64,
    complaint: Option<String>,
}

fn cycle(
    folder: &Path,
    dice: &mut SmallRng,
    known: &mut Progress,
    report: &mut Report,
) -> Result<Duration, Verdict> {
    let told = live(folder, dice, known);
    report.add("acked", told.count);
    if let Some(complaint) = told.complaint {
        return Err(Verdict::Wrong(complaint));
    }
    let options = Options { read_only: dice.random(), background: false, ..h3_child::options(dice) };
    let (found, recovery) = open(folder, options)?;
    for (writer, &at) in found.iter().enumerate() {
        let behind =
            told.unsafe_commits.iter().filter(|(_, seq)| *seq < told.safe_seq).map(|(n, _)| *n).max();
        let least = if writer == 0 { known[0].max(behind.unwrap_or(0)) } else { told.acked[writer] };
        if at < least {
            return Err(Verdict::Lost(format!(
                "writer {writer} is at {}, commit {least} was acknowledged",
                at
            )));
        }
        if at > told.acked[writer] + 1 {
            return Err(Verdict::Wrong(format!(
                "writer {writer} is at {}, beyond {}",
                at, told.acked[writer]
            )));
        }
    }
    *known = found;
    Ok(recovery)
}

/// How far each writer got, and how long the opening took.
fn open(folder: &Path, options: Options) -> Result<(Progress, Duration), Verdict> {
    let nothing_yet = options.read_only && !folder.join("CURRENT").exists();
    let options = Options { read_only: options.read_only && !nothing_yet, ..options };
    let start = Instant::now();
    let engine =
        h3_child::open(folder, &options).map_err(|error| Verdict::Wrong(format!("open: {error}")))?;
    let recovery = start.elapsed();
    let snapshot = engine.snapshot().map_err(|error| Verdict::Wrong(error.to_string()))?;
    Ok((h3_child::progress(&snapshot).map_err(Verdict::Wrong)?, recovery))
}

/// Starts the child, lets it work for a moment, and kills it.
fn live(folder: &Path, dice: &mut SmallRng, known: &Progress) -> Told {
    let program = std::env::current_exe().unwrap();
    let args = ["--h3-child".as_ref(), folder.as_os_str(), dice.random::<u64>().to_string().as_ref()]
        .map(std::ffi::OsStr::to_owned);
    let mut child =
        Command::new(program).args(args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut pipe = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = pipe.read_to_string(&mut text);
        text
    });
    // Short lives end in recovery, longer ones in the middle of everything.
    let longest = if dice.random_ratio(1, 4) { 5_000 } else { 22_000 };
    std::thread::sleep(Duration::from_micros(dice.random_range(500..longest)));
    let early = child.try_wait().ok().flatten();
    let _ = child.kill();
    let _ = child.wait();
    let text = reader.join().unwrap_or_default();
    let mut told = listen(&text, known);
    if let Some(status) = early {
        told.complaint =
            told.complaint.or(Some(format!("the child ended by itself with {status}: {text:.200}")));
    }
    told
}

fn listen(text: &str, known: &Progress) -> Told {
    let mut told = Told { acked: *known, ..Told::default() };
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    for line in whole.lines() {
        if let Some(complaint) = line.strip_prefix("W ") {
            told.complaint = Some(complaint.to_owned());
        }
        let numbers: Vec<i64> = line
            .strip_prefix("A ")
            .map(|rest| rest.split(' ').filter_map(|part| part.parse().ok()).collect())
            .unwrap_or_default();
        let [writer, n, seq] = numbers[..] else { continue };
        told.count += 1;
        told.acked[writer as usize] = n;
        match writer {
            0 => told.unsafe_commits.push((n, seq as u64)),
            _ => told.safe_seq = told.safe_seq.max(seq as u64),
        }
    }
    told
}

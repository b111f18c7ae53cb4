//! The one machine-readable line of a harness, and whether it passes.
//!
//! A harness that injects nothing must not pass: each has a floor of faults for 60 seconds, which is scaled with the
//! seconds it was given.

use std::fmt::Write;
use std::time::{Duration, Instant};

/// How long, from which seed.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Replays a failure.
    pub seed: u64,
    /// Time to spend.
    pub secs: f64,
    /// When it began.
    pub start: Instant,
    /// Faults it must inject.
    pub floor: u64,
}

/// How many times its seconds a harness may take to reach its floor on a machine that is busy with other things.
const PATIENCE: f64 = 6.0;

impl Budget {
    /// Starts the clock.
    pub fn new(seed: u64, secs: f64) -> Self {
        Self { seed, secs, start: Instant::now(), floor: 0 }
    }

    /// The same with a floor, given for 60 seconds and scaled down to fewer.
    pub fn with_floor(self, floor: u64) -> Self {
        Self { floor: (floor as f64 * (self.secs / 60.0).min(1.0)) as u64, ..self }
    }

    /// False once the time is spent and the floor reached, or all patience is at an end.
    pub fn goes_on(&self, injected: u64) -> bool {
        let secs = if injected < self.floor { self.secs * PATIENCE } else { self.secs };
        self.start.elapsed() < Duration::from_secs_f64(secs)
    }
}

/// What a harness counted.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Faults injected, or cases tried.
    pub injected: u64,
    /// Of those, how many left a database that answered rightly, or said what is damaged.
    pub survived: u64,
    /// Acknowledged and gone.
    pub lost: u64,
    /// Rows that should not be, or a database that does not open.
    pub wrong: u64,
    /// Panics and signals.
    pub crash: u64,
    /// No progress.
    pub hang: u64,
    /// More figures, as `name:value` pairs.
    pub extra: Vec<(&'static str, u64)>,
    /// What failed, for people; the first few.
    pub failures: Vec<String>,
    /// Why nothing could be tried on this machine.
    pub skipped: Option<String>,
}

/// How a trial came out.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// As promised.
    Survived,
    /// An acknowledged commit is gone.
    Lost(String),
    /// Anything else that is not as promised.
    Wrong(String),
    /// It panicked.
    Crash(String),
}

impl Verdict {
    /// The same with where it happened.
    pub fn at(self, place: &str) -> Self {
        match self {
            Self::Survived => Self::Survived,
            Self::Lost(text) => Self::Lost(format!("{place}: {text}")),
            Self::Wrong(text) => Self::Wrong(format!("{place}: {text}")),
            Self::Crash(text) => Self::Crash(format!("{place}: {text}")),
        }
    }
}

impl Report {
    /// The report of a harness that this machine does not allow.
    pub fn skipped(why: String) -> Self {
        Self { skipped: Some(why), ..Self::default() }
    }

    /// Counts one trial.
    pub fn count(&mut self, verdict: Verdict) {
        self.injected += 1;
        let text = match verdict {
            Verdict::Survived => {
                self.survived += 1;
                return;
            }
            Verdict::Lost(text) => {
                self.lost += 1;
                format!("lost: {text}")
            }
            Verdict::Wrong(text) => {
                self.wrong += 1;
                format!("wrong: {text}")
            }
            Verdict::Crash(text) => {
                self.crash += 1;
                format!("crash: {text}")
            }
        };
        if self.failures.len() < 5 {
            self.failures.push(text);
        }
    }

    /// Adds to a figure of its own.
    pub fn add(&mut self, name: &'static str, count: u64) {
        match self.extra.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum += count,
            None => self.extra.push((name, count)),
        }
    }

    /// Adds another lane's figures.
    pub fn merge(&mut self, other: Self) {
        self.injected += other.injected;
        self.survived += other.survived;
        self.lost += other.lost;
        self.wrong += other.wrong;
        self.crash += other.crash;
        self.hang += other.hang;
        other.extra.into_iter().for_each(|(name, count)| self.add(name, count));
        self.failures.extend(other.failures);
    }

    /// True when nothing failed and the floor was reached.
    pub fn passes(&self, budget: &Budget) -> bool {
        let reached = self.injected >= budget.floor || self.skipped.is_some();
        self.lost + self.wrong + self.crash + self.hang == 0 && reached
    }

    /// The line.
    pub fn line(&self, harness: &str, budget: &Budget) -> String {
        let Self { injected, survived, lost, wrong, crash, hang, .. } = self;
        let secs = budget.start.elapsed().as_secs_f64();
        let mut line = format!("rel {harness} commit={} seed={} secs={secs:.1} ", commit(), budget.seed);
        let _ = write!(
            line,
            "injected={injected} survived={survived} lost={lost} wrong={wrong} crash={crash} hang={hang}"
        );
        let extra: Vec<String> = self.extra.iter().map(|(name, count)| format!("{name}:{count}")).collect();
        let _ = write!(line, " extra={}", extra.join(","));
        if let Some(why) = &self.skipped {
            let _ = write!(line, " skipped={why:?}");
        }
        line
    }
}

fn commit() -> String {
    let asked = std::process::Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
    let text =
        asked.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    if text.is_empty() { "unknown".to_owned() } else { text }
}

//! What the process of H3 told of its commits, and the judgement over what a power cut left of them.

use std::path::Path;

use rand::Rng;
use rand::rngs::SmallRng;
use trilith_engine::{Durability, Options, check_path};

use crate::h3_child::{self, LEVELS, Progress};
use crate::report::Verdict;

/// An acknowledged commit.
#[derive(Clone, Copy, Debug)]
struct Acked {
    writer: usize,
    n: i64,
    seq: u64,
}

/// All that was told up to some moment.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    acked: Vec<Acked>,
    /// The last commit of each writer that was acknowledged, or seen by a process that began anew.
    known: Progress,
    /// What the process complained of.
    pub complaint: Option<String>,
}

impl Truth {
    /// Takes in a line.
    pub fn hear(&mut self, line: &str) {
        match line.split_at_checked(2) {
            Some(("A ", commit)) => {
                let numbers: Vec<i64> = commit.split(' ').filter_map(|part| part.parse().ok()).collect();
                if let [writer, n, seq] = numbers[..] {
                    let writer = writer as usize;
                    self.known[writer] = n;
                    self.acked.push(Acked { writer, n, seq: seq as u64 });
                }
            }
            Some(("R ", found)) => self.begin(found),
            Some(("W ", complaint)) => self.complaint = Some(complaint.to_owned()),
            _ => {}
        }
    }

    /// A process begins with what it finds: commits of the level `none` may have ended with the one before.
    fn begin(&mut self, found: &str) {
        let numbers: Vec<i64> =
            found.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect();
        let Ok(found) = Progress::try_from(numbers) else {
            self.complaint = Some(format!("a process found: {found}"));
            return;
        };
        if let Some(writer) = (0..4).find(|&w| LEVELS[w] != Durability::None && found[w] < self.known[w]) {
            let text = format!("without a power cut writer {writer} is at {found:?} of {:?}", self.known);
            self.complaint = Some(text);
        }
        self.acked.retain(|acked| acked.n <= found[acked.writer]);
        self.known = found;
    }

    /// Knows what `other` knows, and still what it knew.
    pub fn reach(&mut self, other: &Self) {
        self.known.iter_mut().zip(other.known).for_each(|(known, other)| *known = other.max(*known));
    }

    /// Acknowledged commits.
    pub fn len(&self) -> usize {
        self.acked.len()
    }

    /// Judges what was `found` after a power cut. `self` is what was told before the cut, `later` what was told by the
    /// time that nothing could be added to the disk any more.
    pub fn judge(&self, found: Progress, later: &Self) -> Verdict {
        let safe = |acked: &&Acked| matches!(LEVELS[acked.writer], Durability::Group | Durability::Strict);
        if let Some(gone) = self.acked.iter().filter(safe).find(|acked| acked.n > found[acked.writer]) {
            return Verdict::Lost(format!("{gone:?} was acknowledged, {found:?} is there"));
        }
        let beyond = |w: &usize| found[*w] > self.known[*w].max(later.known[*w]) + 1;
        if let Some(writer) = (0..4).find(beyond) {
            return Verdict::Wrong(format!("writer {writer} is beyond {:?}: {found:?}", later.known));
        }
        let there = |acked: &&Acked| acked.n <= found[acked.writer];
        let reach = self.acked.iter().filter(there).map(|acked| acked.seq).max();
        match self.acked.iter().find(|acked| Some(acked.seq) <= reach && !there(acked)) {
            Some(hole) => Verdict::Lost(format!("{hole:?} is a hole, {reach:?} is there: {found:?}")),
            None => Verdict::Survived,
        }
    }
}

/// What the database in `folder` holds, after every byte of it was checked. One in four must also take a commit and keep it.
pub fn recovered(folder: &Path, dice: &mut SmallRng) -> Result<Progress, Verdict> {
    let wrong = |what: &str, error: String| Verdict::Wrong(format!("{what}: {error}"));
    let read_only = dice.random() && folder.join("CURRENT").exists();
    let options = Options { read_only, background: false, ..h3_child::options(dice) };
    let read = |options: &Options| -> Result<_, Verdict> {
        let engine = h3_child::open(folder, options).map_err(|error| wrong("open", error.to_string()))?;
        let snapshot = engine.snapshot().map_err(|error| wrong("snapshot", error.to_string()))?;
        Ok((h3_child::progress(&snapshot).map_err(|text| wrong("read", text))?, engine))
    };
    let (found, engine) = read(&options)?;
    let mut after = found;
    if !read_only && dice.random_ratio(1, 4) {
        after[2] += 1;
        let more = h3_child::create_tables(&engine).and_then(|()| h3_child::commit(&engine, 2, after[2]));
        more.map_err(|error| wrong("another commit", error.to_string()))?;
    }
    drop(engine);
    if folder.join("CURRENT").exists() {
        let report = check_path(folder, options.encryption_key.as_ref(), &mut |_| {})
            .map_err(|error| wrong("check", error.to_string()))?;
        if let Some(problem) = report.problems.first() {
            return Err(wrong("check", problem.clone()));
        }
    }
    if after != found && read(&options)?.0 != after {
        return Err(wrong("another commit", format!("is not there after {found:?}")));
    }
    Ok(found)
}

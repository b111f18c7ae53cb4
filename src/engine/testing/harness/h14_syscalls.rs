//! H14: in a real process on a real folder, the n-th call of the system's library fails, once or from then on.
//!
//! A layer under the process does it (`shim.c`). Whatever fails, what was acknowledged is there when the database is
//! opened again, and a failed sync is somebody's error.

use std::collections::BTreeMap;
use std::path::Path;

use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::chance::pick;
use crate::h3_child::Progress;
use crate::h7_open::scratch;
use crate::lanes;
use crate::report::{Budget, Report, Verdict};
use crate::shim::{self, Strike};
use crate::worker::{self, Told};

/// Rounds of a worker: flushes, a compaction and a bulk write among them.
const ROUNDS: i64 = 5;

const DISK: [i32; 3] = [libc::EIO, libc::ENOSPC, libc::EDQUOT];

/// Kinds of calls, and what they fail with.
const CALLS: [(&str, &[i32]); 13] = [
    ("open", &[libc::EIO, libc::EMFILE, libc::ENFILE, libc::EACCES, libc::ENOSPC]),
    ("read", &[libc::EIO, libc::EINTR]),
    ("write", &[libc::EIO, libc::ENOSPC, libc::EDQUOT, libc::EFBIG, libc::EINTR, libc::EAGAIN]),
    ("fsync", &DISK),
    ("fdatasync", &DISK),
    ("rename", &[libc::EIO, libc::ENOSPC, libc::EROFS]),
    ("ftruncate", &[libc::EIO, libc::EINTR]),
    ("fallocate", &[libc::EOPNOTSUPP, libc::ENOSPC, libc::EINTR]),
    ("mmap", &[libc::ENOMEM, libc::ENODEV]),
    ("unlink", &[libc::EIO, libc::EPERM, libc::EROFS]),
    ("mkdir", &[libc::EIO, libc::ENOSPC, libc::EROFS]),
    ("stat", &[libc::EIO, libc::EACCES]),
    ("seek", &[libc::EIO]),
];

/// A database to start from, what it holds, and how often a worker makes each call.
struct Ground {
    folder: tempfile::TempDir,
    before: Progress,
    calls: BTreeMap<String, u64>,
}

impl Ground {
    fn new() -> Self {
        let folder = scratch();
        let before = worker::template(folder.path());
        let calls = counted(folder.path(), before);
        Self { folder, before, calls }
    }
}

fn counted(template: &Path, before: Progress) -> BTreeMap<String, u64> {
    let folder = scratch();
    worker::copy(template, folder.path());
    let mut command = worker::command(folder.path(), ROUNDS, false);
    shim::count(&mut command, folder.path());
    let told = worker::run(&mut command, before);
    assert!(told.done, "without a fault: {told:?}");
    let count = |line: &str| {
        let (name, count) = line.strip_prefix("COUNT ")?.split_once(' ')?;
        Some((name.to_owned(), count.parse().ok()?))
    };
    told.aside.lines().filter_map(count).collect()
}

/// Runs the harness.
pub fn harness(budget: &Budget) -> Report {
    let ground = Ground::new();
    let struck = Mutex::new(BTreeMap::<&'static str, u64>::new());
    let mut report = lanes::run(budget, |seed, report| {
        let mut dice = SmallRng::seed_from_u64(seed);
        let strike = draw(&ground, &mut dice);
        trial(&ground, strike, report).then(|| *struck.lock().entry(strike.call).or_default() += 1);
    });
    struck.into_inner().into_iter().for_each(|(call, count)| report.add(call, count));
    report
}

fn draw(ground: &Ground, dice: &mut SmallRng) -> Strike {
    let made = |(call, _): &&(&str, &[i32])| ground.calls.get(*call).is_some_and(|count| *count > 0);
    let known: Vec<&(&str, &[i32])> = CALLS.iter().filter(made).collect();
    let (call, errors) = **pick(dice, &known);
    let nth = dice.random_range(1..=ground.calls[call]);
    // A call that is interrupted for ever is tried again for ever.
    let errno = *pick(dice, errors);
    Strike { call, nth, errno, forever: dice.random() && errno != libc::EINTR }
}

/// False when the worker made fewer calls than that.
fn trial(ground: &Ground, strike: Strike, report: &mut Report) -> bool {
    let folder = scratch();
    worker::copy(ground.folder.path(), folder.path());
    let mut command = worker::command(folder.path(), ROUNDS, false);
    shim::strike(&mut command, folder.path(), strike);
    let told = worker::run(&mut command, ground.before);
    if !told.aside.contains("STRUCK") {
        report.add("missed", 1);
        return false;
    }
    report.add("reported", u64::from(told.error.is_some()));
    report.count(verdict(folder.path(), strike, &told).at(&format!("{strike:?}, {:?}", told.error)));
    true
}

fn verdict(folder: &Path, strike: Strike, told: &Told) -> Verdict {
    if matches!(strike.call, "fsync" | "fdatasync") && strike.errno != 0 && told.error.is_none() {
        return Verdict::Wrong("a sync failed, and nobody was told".into());
    }
    worker::judge(folder, told)
}

/// The test of the test: writes that say they were done, and were not, must be noticed.
pub fn notices_lost_writes() -> bool {
    let ground = Ground::new();
    (1..=ground.calls["write"]).any(|nth| {
        let mut report = Report::default();
        trial(&ground, Strike { call: "write", nth, forever: true, errno: 0 }, &mut report);
        !report.failures.is_empty()
    })
}

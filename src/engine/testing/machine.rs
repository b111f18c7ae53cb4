//! The state behind a simulated disk: counts calls, decides which fail, remembers what the disk was.

use std::io;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::disk::Disk;
use super::faulty::{CallKind, FaultPlan};

/// What all clones of a storage share.
#[derive(Debug, Default)]
pub(super) struct Machine {
    pub(super) disk: Disk,
    pub(super) locked: bool,
    pub(super) calls: u64,
    pub(super) faults: FaultPlan,
    /// The call at which the power goes, and whether part of it takes place.
    pub(super) stop_at: Option<(u64, bool)>,
    pub(super) off: bool,
    /// The disk after each call that changed it.
    pub(super) history: Option<Vec<(u64, Disk)>>,
    pub(super) unmapped: bool,
}

/// How a call came out.
pub(super) enum Outcome {
    /// As asked.
    Done,
    /// With an error; the number decides how much took place, when anything did.
    Failed(Option<u64>),
}

/// What becomes of a call.
pub(super) enum Verdict {
    Fine,
    Broken {
        error: io::Error,
        part: Option<u64>,
    },
    /// The machine is off.
    Refused,
}

impl Machine {
    /// Counts a call and decides over it.
    pub(super) fn admit(&mut self, kind: CallKind) -> Verdict {
        self.calls += 1;
        if self.off {
            return Verdict::Refused;
        }
        let part = |calls: u64, partly: bool| partly.then(|| SmallRng::seed_from_u64(calls).random());
        if let Some((_, partly)) = self.stop_at.filter(|(call, _)| *call <= self.calls) {
            self.off = true;
            let error = io::Error::other("the simulated machine lost power");
            return Verdict::Broken { error, part: part(self.calls, partly) };
        }
        match self.faults.strike(kind) {
            None => Verdict::Fine,
            Some(fault) => {
                Verdict::Broken { error: fault.error.to_io(), part: part(self.calls, fault.partly) }
            }
        }
    }

    /// Adds the disk to the history, when it may have changed.
    pub(super) fn remember(&mut self, kind: CallKind) {
        let changes = !matches!(kind, CallKind::Open | CallKind::Read | CallKind::List | CallKind::Lock);
        if let Some(history) = self.history.as_mut().filter(|_| changes && !self.off) {
            history.push((self.calls, self.disk.clone()));
        }
    }
}

//! Which storage calls fail, how, and how much of them takes place all the same.
//!
//! Decides only; the simulated storage carries it out.

use std::io;

/// A kind of storage call.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CallKind {
    /// `FileWriter::append`.
    Append,
    /// `FileWriter::sync`.
    Sync,
    /// `FileWriter::reserve`.
    Reserve,
    /// `FileWriter::trim`.
    Trim,
    /// `Storage::create`.
    Create,
    /// `Storage::open`.
    Open,
    /// `FileReader::read` and `FileReader::load`.
    Read,
    /// `Storage::list`.
    List,
    /// `Storage::remove`.
    Remove,
    /// `Storage::rename`.
    Rename,
    /// `Storage::create_dir`.
    CreateDir,
    /// `Storage::sync_dir`.
    SyncDir,
    /// `Storage::lock`.
    Lock,
}

/// What a failing call says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultError {
    /// An error number of the operating system.
    Errno(i32),
    /// A kind without a number.
    Kind(io::ErrorKind),
}

impl FaultError {
    /// A failing disk.
    pub const EIO: Self = Self::Errno(libc::EIO);
    /// No space left.
    pub const ENOSPC: Self = Self::Errno(libc::ENOSPC);
    /// The user's share of the space is used up.
    pub const EDQUOT: Self = Self::Errno(libc::EDQUOT);
    /// Too many open files.
    pub const EMFILE: Self = Self::Errno(libc::EMFILE);
    /// The file system went read-only.
    pub const EROFS: Self = Self::Errno(libc::EROFS);
    /// A call interrupted by a signal.
    pub const EINTR: Self = Self::Errno(libc::EINTR);

    /// All errors that a test of every call should try.
    pub const ALL: [Self; 6] =
        [Self::EIO, Self::ENOSPC, Self::EDQUOT, Self::EMFILE, Self::EROFS, Self::EINTR];

    pub(super) fn to_io(self) -> io::Error {
        match self {
            Self::Errno(number) => io::Error::from_raw_os_error(number),
            Self::Kind(kind) => kind.into(),
        }
    }
}

/// A failure to come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The calls it counts; `None` for all.
    pub kind: Option<CallKind>,
    /// Which of them fails, counted from 1 at the moment of injection.
    pub nth: u64,
    /// All later ones fail too.
    pub forever: bool,
    /// What the caller is told.
    pub error: FaultError,
    /// Part of an append takes place, and any other call in full, in spite of the error. A failed sync drops
    /// what it should have written in either case.
    pub partly: bool,
}

impl Fault {
    /// The `nth` call of `kind` fails once, without effect.
    #[must_use]
    pub fn once(kind: Option<CallKind>, nth: u64, error: FaultError) -> Self {
        Self { kind, nth, forever: false, error, partly: false }
    }

    /// From the `nth` call of `kind` on, each fails, without effect.
    #[must_use]
    pub fn forever(kind: Option<CallKind>, nth: u64, error: FaultError) -> Self {
        Self { forever: true, ..Self::once(kind, nth, error) }
    }

    /// The same with a partial effect.
    #[must_use]
    pub fn partly(self) -> Self {
        Self { partly: true, ..self }
    }
}

/// The faults injected so far.
#[derive(Debug, Default)]
pub(super) struct FaultPlan {
    /// Each with the number of calls it has counted.
    waiting: Vec<(Fault, u64)>,
    fired: u64,
}

impl FaultPlan {
    pub(super) fn inject(&mut self, fault: Fault) {
        self.waiting.push((fault, 0));
    }

    pub(super) fn heal(&mut self) {
        self.waiting.clear();
    }

    pub(super) fn fired(&self) -> u64 {
        self.fired
    }

    /// Counts a call; the fault that strikes it, if one does.
    pub(super) fn strike(&mut self, kind: CallKind) -> Option<Fault> {
        let mut struck = None;
        for (fault, count) in
            self.waiting.iter_mut().filter(|(fault, _)| fault.kind.is_none_or(|it| it == kind))
        {
            *count += 1;
            if *count == fault.nth || (fault.forever && *count > fault.nth) {
                struck = struck.or(Some(*fault));
            }
        }
        self.fired += u64::from(struck.is_some());
        struck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_strike_when_told() {
        let mut plan = FaultPlan::default();
        plan.inject(Fault::once(Some(CallKind::Sync), 2, FaultError::EIO));
        plan.inject(Fault::forever(Some(CallKind::Append), 1, FaultError::ENOSPC));
        assert!(plan.strike(CallKind::Sync).is_none());
        assert!(plan.strike(CallKind::Append).is_some());
        assert_eq!(plan.strike(CallKind::Sync).map(|fault| fault.error), Some(FaultError::EIO));
        assert!(plan.strike(CallKind::Sync).is_none());
        assert!(plan.strike(CallKind::Append).is_some());
        assert_eq!(plan.fired(), 3);
        plan.heal();
        assert!(plan.strike(CallKind::Append).is_none());
    }
}

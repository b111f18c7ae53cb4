//! A disk in memory that can lose power at any call, and of which any call can fail.
//!
//! Clones share one machine. `crash_image` builds what a new machine finds after a power cut, `kill_image` what
//! a new process finds on the same one. Not a model of timing or of concurrent system calls: each call is
//! atomic but for the halves that the fault plan makes.

use std::io;
use std::sync::Arc;

use super::crash::{CrashPolicy, power_cut};
use super::disk::Disk;
use super::faulty::{CallKind, Fault};
use super::machine::{Machine, Outcome, Verdict};
use super::sim_file::{SimLock, SimReader, SimWriter};
use crate::common::sync::Mutex;
use crate::common::{Error, Result};
use crate::io::path::{check_dir, check_path, split};
use crate::io::{FileReader, FileWriter, LockGuard, Storage};

/// A simulated folder.
#[derive(Clone, Debug, Default)]
pub struct SimStorage {
    machine: Arc<Mutex<Machine>>,
}

impl SimStorage {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn on(disk: Disk) -> Self {
        Self { machine: Arc::new(Mutex::new(Machine { disk, ..Machine::default() })) }
    }

    /// Storage calls made so far, failed ones included.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.machine.lock().calls
    }

    /// Stops the machine at call number `call`, counted from its start: that call and all later ones fail.
    /// `partly`: part of an append takes place, and any other call in full.
    pub fn stop_at(&self, call: u64, partly: bool) {
        self.machine.lock().stop_at = Some((call, partly));
    }

    /// Frees the writer lock, as the end of the process that held it does.
    pub fn free_lock(&self) {
        self.machine.lock().locked = false;
    }

    /// Stops the machine now.
    pub fn stop(&self) {
        self.machine.lock().off = true;
    }

    /// Lets a call to come fail.
    pub fn inject(&self, fault: Fault) {
        self.machine.lock().faults.inject(fault);
    }

    /// Takes back all faults that have not struck.
    pub fn heal(&self) {
        self.machine.lock().faults.heal();
    }

    /// Calls that failed by injection.
    #[must_use]
    pub fn faults_fired(&self) -> u64 {
        self.machine.lock().faults.fired()
    }

    /// Makes readers say that they are not mapped, so that the engine verifies every read.
    pub fn set_mapped(&self, mapped: bool) {
        self.machine.lock().unmapped = !mapped;
    }

    pub(super) fn mapped(&self) -> bool {
        !self.machine.lock().unmapped
    }

    /// Remembers the disk after every change from now on, for [`SimStorage::crash_image_at`].
    pub fn record_history(&self) {
        let mut machine = self.machine.lock();
        let start = (machine.calls, machine.disk.clone());
        machine.history = Some(vec![start]);
    }

    /// The calls after which the recorded history has a disk.
    #[must_use]
    pub fn history(&self) -> Vec<u64> {
        self.machine.lock().history.iter().flatten().map(|(call, _)| *call).collect()
    }

    /// What may be on the disk when the power goes now.
    #[must_use]
    pub fn crash_image(&self, seed: u64, policy: CrashPolicy) -> Self {
        Self::on(power_cut(&self.machine.lock().disk, seed, policy))
    }

    /// What may have been on the disk had the power gone right after call number `call`; empty when no history
    /// reaches back that far.
    #[must_use]
    pub fn crash_image_at(&self, call: u64, seed: u64, policy: CrashPolicy) -> Self {
        let machine = self.machine.lock();
        let history = machine.history.as_deref().unwrap_or_default();
        let known = history.partition_point(|(at, _)| *at <= call);
        let disk = known.checked_sub(1).and_then(|last| history.get(last)).map(|(_, disk)| disk);
        Self::on(disk.map_or_else(Disk::default, |disk| power_cut(disk, seed, policy)))
    }

    /// What another process finds when this one is killed now: everything, some of it still not durable.
    #[must_use]
    pub fn kill_image(&self) -> Self {
        Self::on(self.machine.lock().disk.clone())
    }

    /// Paths of all files, sorted.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        self.machine.lock().disk.names.keys().map(ToString::to_string).collect()
    }

    /// The bytes of a file, without a call.
    #[must_use]
    pub fn contents(&self, path: &str) -> Option<Vec<u8>> {
        let machine = self.machine.lock();
        let inode = machine.disk.inode(path).ok()?;
        machine.disk.files.get(inode).map(|file| file.bytes().to_vec())
    }

    /// Puts a file there, durably and behind the engine's back.
    pub fn plant(&self, path: &str, bytes: &[u8]) {
        self.machine.lock().disk.plant(path, bytes);
    }

    /// Makes one call: counts it, lets it fail when that is due, and hands the outcome to `effect`.
    pub(super) fn call<T>(
        &self,
        kind: CallKind,
        (op, path): (&'static str, &str),
        effect: impl FnOnce(&mut Machine, Outcome) -> io::Result<T>,
    ) -> Result<T> {
        let mut machine = self.machine.lock();
        let told = match machine.admit(kind) {
            Verdict::Fine => effect(&mut machine, Outcome::Done),
            Verdict::Refused => Err(io::Error::other("the simulated machine is off")),
            Verdict::Broken { error, part } => {
                // What a broken call finds out is lost: the caller gets the error.
                let _ = effect(&mut machine, Outcome::Failed(part));
                Err(error)
            }
        };
        machine.remember(kind);
        told.map_err(|source| Error::io(op, path, source))
    }

    /// A call that takes place in full or not at all.
    fn simple_call<T>(
        &self,
        kind: CallKind,
        named: (&'static str, &str),
        effect: impl FnOnce(&mut Machine) -> io::Result<T>,
    ) -> Result<T> {
        self.call(kind, named, |machine, outcome| match outcome {
            Outcome::Failed(None) => Err(io::ErrorKind::Other.into()),
            Outcome::Done | Outcome::Failed(Some(_)) => effect(machine),
        })
    }
}

impl Storage for SimStorage {
    fn describe(&self) -> String {
        "simulated disk".to_owned()
    }

    fn create_dir(&self, dir: &str) -> Result<()> {
        check_dir(dir)?;
        self.simple_call(CallKind::CreateDir, ("create the folder", dir), |machine| {
            machine.disk.dirs.insert(dir.into());
            Ok(())
        })
    }

    fn create(&self, path: &str) -> Result<Box<dyn FileWriter>> {
        check_path(path)?;
        let inode =
            self.simple_call(CallKind::Create, ("create", path), |machine| machine.disk.create(path))?;
        Ok(Box::new(SimWriter::new(self.clone(), path, inode)))
    }

    fn open(&self, path: &str) -> Result<Arc<dyn FileReader>> {
        check_path(path)?;
        let bytes = self.simple_call(CallKind::Open, ("open", path), |machine| {
            let inode = machine.disk.inode(path)?;
            machine
                .disk
                .files
                .get(inode)
                .map(super::disk::FileState::bytes)
                .ok_or_else(|| io::ErrorKind::NotFound.into())
        })?;
        Ok(Arc::new(SimReader::new(self.clone(), path, bytes)))
    }

    fn list(&self, dir: &str) -> Result<Vec<String>> {
        check_dir(dir)?;
        self.simple_call(CallKind::List, ("list", dir), |machine| {
            let here = machine.disk.names.keys().map(|path| split(path)).filter(|(found, _)| *found == dir);
            Ok(here.map(|(_, name)| name.to_owned()).collect())
        })
    }

    fn remove(&self, path: &str) -> Result<()> {
        check_path(path)?;
        self.simple_call(CallKind::Remove, ("remove", path), |machine| {
            machine.disk.remove(path);
            Ok(())
        })
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        check_path(from)?;
        check_path(to)?;
        self.simple_call(CallKind::Rename, ("rename to", to), |machine| machine.disk.rename(from, to))
    }

    fn sync_dir(&self, dir: &str) -> Result<()> {
        check_dir(dir)?;
        self.simple_call(CallKind::SyncDir, ("sync the folder", dir), |machine| {
            machine.disk.sync_dir(dir);
            Ok(())
        })
    }

    fn lock(&self) -> Result<Box<dyn LockGuard>> {
        let free = self.simple_call(CallKind::Lock, ("lock", "LOCK"), |machine| {
            Ok(!std::mem::replace(&mut machine.locked, true))
        })?;
        if free {
            Ok(Box::new(SimLock(Arc::clone(&self.machine))))
        } else {
            Err(Error::Busy { path: self.describe(), holder: "this process".into() })
        }
    }
}

#[cfg(test)]
#[path = "sim_tests.rs"]
mod tests;

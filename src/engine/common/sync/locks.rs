//! parking_lot's locks. In a schedule a thread that cannot have one waits for the scheduler instead of the system.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use super::turn::{Turn, current};

/// Where threads wait for something.
fn place<T: ?Sized>(of: &T) -> usize {
    std::ptr::from_ref(of).cast::<()>() as usize
}

/// Wakes those that wait for a lock, once the guard before it in its struct is gone.
#[derive(Debug)]
struct Release(usize);

impl Drop for Release {
    fn drop(&mut self) {
        if let Some(turn) = current() {
            turn.wake(self.0, true);
        }
    }
}

/// [`parking_lot::Mutex`].
#[derive(Debug, Default)]
pub struct Mutex<T: ?Sized>(parking_lot::Mutex<T>);

/// [`parking_lot::MutexGuard`].
#[derive(Debug)]
pub struct MutexGuard<'a, T: ?Sized> {
    held: parking_lot::MutexGuard<'a, T>,
    release: Release,
}

impl<T> Mutex<T> {
    /// A free one.
    pub const fn new(value: T) -> Self {
        Self(parking_lot::Mutex::new(value))
    }

    /// What is in it.
    pub fn into_inner(self) -> T {
        self.0.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits until it is free.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        let here = place(self);
        let held = match current() {
            None => self.0.lock(),
            Some(turn) => turn.acquire(here, || self.0.try_lock()),
        };
        MutexGuard { held, release: Release(here) }
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.held
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.held
    }
}

/// [`parking_lot::RwLock`].
#[derive(Debug, Default)]
pub struct RwLock<T: ?Sized>(parking_lot::RwLock<T>);

/// [`parking_lot::RwLockReadGuard`].
#[derive(Debug)]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    held: parking_lot::RwLockReadGuard<'a, T>,
    _release: Release,
}

/// [`parking_lot::RwLockWriteGuard`].
#[derive(Debug)]
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    held: parking_lot::RwLockWriteGuard<'a, T>,
    release: Release,
}

impl<T> RwLock<T> {
    /// A free one.
    pub const fn new(value: T) -> Self {
        Self(parking_lot::RwLock::new(value))
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Waits until nobody writes.
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        let here = place(self);
        let held = match current() {
            None => self.0.read(),
            Some(turn) => turn.acquire(here, || self.0.try_read()),
        };
        RwLockReadGuard { held, _release: Release(here) }
    }

    /// Waits until nobody reads or writes.
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        let here = place(self);
        let held = match current() {
            None => self.0.write(),
            Some(turn) => turn.acquire(here, || self.0.try_write()),
        };
        RwLockWriteGuard { held, release: Release(here) }
    }
}

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    /// Lets readers in, and no writer.
    #[must_use]
    pub fn downgrade(guard: Self) -> RwLockReadGuard<'a, T> {
        let Self { held, release } = guard;
        let here = release.0;
        let held = parking_lot::RwLockWriteGuard::downgrade(held);
        drop(release);
        RwLockReadGuard { held, _release: Release(here) }
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.held
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.held
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.held
    }
}

/// [`parking_lot::Condvar`].
#[derive(Debug, Default)]
pub struct Condvar(parking_lot::Condvar);

impl Condvar {
    /// One that nobody waits for.
    #[must_use]
    pub const fn new() -> Self {
        Self(parking_lot::Condvar::new())
    }

    /// Frees the lock, waits to be woken, takes the lock again.
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        match current() {
            None => self.0.wait(&mut guard.held),
            Some(turn) => self.wait_for_turn(&turn, guard, false),
        }
    }

    /// As [`Condvar::wait`], at most for a while: in a schedule, for as long as the scheduler likes.
    pub fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, longest: Duration) {
        match current() {
            None => drop(self.0.wait_for(&mut guard.held, longest)),
            Some(turn) => self.wait_for_turn(&turn, guard, true),
        }
    }

    fn wait_for_turn<T>(&self, turn: &Turn, guard: &mut MutexGuard<'_, T>, timed: bool) {
        let (lock, freed) = (parking_lot::MutexGuard::mutex(&guard.held), guard.release.0);
        parking_lot::MutexGuard::unlocked(&mut guard.held, || {
            turn.wake(freed, true);
            turn.wait(place(self), timed);
            // No other thread runs between this look and the lock.
            while lock.is_locked() {
                turn.wait(freed, false);
            }
        });
    }

    /// Wakes one of those that wait.
    pub fn notify_one(&self) {
        self.notify(false);
    }

    /// Wakes all that wait.
    pub fn notify_all(&self) {
        self.notify(true);
    }

    fn notify(&self, all: bool) {
        match current() {
            Some(turn) => turn.wake(place(self), all),
            None if all => drop(self.0.notify_all()),
            None => drop(self.0.notify_one()),
        }
    }
}

/// A gate that opens once.
#[derive(Debug, Default)]
pub struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    /// Lets everybody through, from now on.
    pub fn open(&self) {
        *self.open.lock() = true;
        self.opened.notify_all();
    }

    /// Waits until it is open.
    pub fn wait(&self) {
        let mut open = self.open.lock();
        while !*open {
            self.opened.wait(&mut open);
        }
    }
}

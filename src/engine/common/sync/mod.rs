//! Locks, atomics, threads and time as the engine uses them, behind one door, so that a test can decide whose turn it is.
//!
//! In a release build they are those of parking_lot, arc-swap and std. With debug assertions each call first asks the
//! [`Scheduler`] of its thread, if a test gave it one: then only one thread of a schedule runs at a time, and another
//! goes on at such calls alone. Any other thread pays for a look at a counter that is zero.
//!
//! What it does not control is `OnceLock`, so what fills one calls nothing of this module; and memory that is weaker than
//! sequentially consistent, as threads take turns.

#[cfg(debug_assertions)]
mod atomics;
#[cfg(debug_assertions)]
mod locks;
#[cfg(not(debug_assertions))]
mod plain;
#[cfg(debug_assertions)]
mod threads;
#[cfg(debug_assertions)]
mod turn;

#[cfg(debug_assertions)]
pub use self::{
    atomics::{ArcSwap, AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize},
    locks::{Condvar, Gate, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard},
    threads::{Thread, now, sleep, spawn, yield_now},
    turn::{Scheduler, Turn, point},
};

#[cfg(not(debug_assertions))]
pub use self::plain::{
    ArcSwap, AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Condvar, Gate, Mutex, MutexGuard,
    RwLock, RwLockReadGuard, RwLockWriteGuard, Thread, now, point, sleep, spawn, yield_now,
};

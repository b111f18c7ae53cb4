#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use super::*;
use crate::common::ErrorKind;
use crate::testing::FaultError;

/// A machine with a synced file `x` holding "durable", to which " tail" was appended, and an unsynced file `y`.
fn machine() -> (SimStorage, Box<dyn FileWriter>) {
    let storage = SimStorage::new();
    let mut file = storage.create("x").unwrap();
    file.append(b"durable").unwrap();
    file.sync().unwrap();
    storage.sync_dir("").unwrap();
    file.append(b" tail").unwrap();
    storage.create("y").unwrap().append(b"new").unwrap();
    (storage, file)
}

#[test]
fn the_worst_cut_leaves_what_was_synced() {
    let (storage, _file) = machine();
    let after = storage.crash_image(0, CrashPolicy::WORST);
    assert_eq!(after.paths(), ["x"]);
    assert_eq!(after.contents("x").unwrap(), b"durable");
}

#[test]
fn the_best_cut_leaves_everything() {
    let (storage, _file) = machine();
    let after = storage.crash_image(0, CrashPolicy::BEST);
    assert_eq!(after.paths(), ["x", "y"]);
    assert_eq!(after.contents("x").unwrap(), b"durable tail");
    assert_eq!(after.crash_image(0, CrashPolicy::WORST).contents("x").unwrap(), b"durable tail");
}

#[test]
fn a_kill_leaves_everything_undecided() {
    let (storage, _file) = machine();
    let after = storage.kill_image();
    assert_eq!(after.contents("x").unwrap(), b"durable tail");
    assert_eq!(after.crash_image(0, CrashPolicy::WORST).contents("x").unwrap(), b"durable");
}

#[test]
fn random_cuts_vary_and_repeat() {
    let (storage, _file) = machine();
    let mut seen = BTreeSet::new();
    for seed in 0..500 {
        let after = storage.crash_image(seed, CrashPolicy::RANDOM);
        assert!(after.contents("x").unwrap().starts_with(b"durable"));
        let again = storage.crash_image(seed, CrashPolicy::RANDOM);
        assert_eq!((after.contents("x"), after.contents("y")), (again.contents("x"), again.contents("y")));
        seen.insert((after.contents("x"), after.contents("y")));
    }
    assert!(seen.len() > 50, "only {} outcomes", seen.len());
    assert!(seen.iter().any(|(x, _)| x.as_deref() == Some(b"durable\0\0\0\0\0")));
    assert!(seen.iter().any(|(_, y)| y.is_none()));
}

#[test]
fn names_are_undone_one_by_one() {
    let storage = SimStorage::new();
    storage.publish("", "CURRENT", b"one").unwrap();
    storage.publish("", "old", b"old").unwrap();
    let mut draft = storage.create("CURRENT.new").unwrap();
    draft.append(b"two").unwrap();
    draft.sync().unwrap();
    storage.rename("CURRENT.new", "CURRENT").unwrap();
    storage.remove("old").unwrap();
    let mut seen = BTreeSet::new();
    for seed in 0..200 {
        let after = storage.crash_image(seed, CrashPolicy::RANDOM);
        let current = after.contents("CURRENT").unwrap();
        seen.insert((
            current == b"two",
            after.contents("old").is_some(),
            after.contents("CURRENT.new").is_some(),
        ));
    }
    assert_eq!(seen.len(), 8);
    storage.sync_dir("").unwrap();
    let after = storage.crash_image(1, CrashPolicy::RANDOM);
    assert_eq!(after.paths(), ["CURRENT"]);
    assert_eq!(after.contents("CURRENT").unwrap(), b"two");
}

#[test]
fn a_failed_sync_drops_data_and_hides_it() {
    let (storage, mut file) = machine();
    storage.inject(Fault::once(Some(CallKind::Sync), 1, FaultError::EIO));
    assert_eq!(file.sync().unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(file.sync().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(storage.contents("x").unwrap(), b"durable tail");
    assert_eq!(storage.kill_image().contents("x").unwrap(), b"durable tail");
    let kept = storage.kill_image().crash_image(0, CrashPolicy::BEST).contents("x").unwrap();
    assert_eq!(kept, b"durable\0\0\0\0\0");
    assert_eq!(storage.faults_fired(), 1);
}

#[test]
fn power_that_goes_during_a_sync_leaves_any_part() {
    let mut seen = BTreeSet::new();
    for seed in 0..200 {
        let (storage, mut file) = machine();
        storage.stop_at(storage.calls() + 1, false);
        assert!(file.sync().is_err());
        let found = storage.crash_image(seed, CrashPolicy::RANDOM).contents("x").unwrap();
        assert!(found.starts_with(b"durable"));
        seen.insert(found);
    }
    assert!(seen.contains(&b"durable"[..]) && seen.contains(&b"durable tail"[..]) && seen.len() > 10);
}

#[test]
fn a_dropped_tail_may_be_short() {
    let (storage, mut file) = machine();
    storage.inject(Fault::once(Some(CallKind::Sync), 1, FaultError::EIO));
    assert!(file.sync().is_err());
    let lengths: BTreeSet<usize> = (0..200)
        .map(|seed| storage.crash_image(seed, CrashPolicy::RANDOM).contents("x").unwrap().len())
        .collect();
    assert_eq!(lengths, (7..=12).collect());
}

#[test]
fn a_short_write_leaves_a_part() {
    let mut lengths = BTreeSet::new();
    for extra in 0..50 {
        let storage = SimStorage::new();
        (0..extra).for_each(|_| drop(storage.list("").unwrap()));
        let mut file = storage.create("x").unwrap();
        storage.inject(Fault::once(Some(CallKind::Append), 1, FaultError::ENOSPC).partly());
        assert!(file.append(b"0123456789").is_err());
        let found = storage.contents("x").unwrap();
        assert!(b"0123456789".starts_with(&found));
        lengths.insert(found.len());
    }
    assert!(lengths.len() > 5);
}

#[test]
fn a_stopped_machine_does_nothing_more() {
    for call in 1..=6 {
        for partly in [false, true] {
            let storage = SimStorage::new();
            storage.stop_at(call, partly);
            let published = storage.publish("", "x", b"hello");
            assert!(published.is_err());
            assert_eq!(storage.calls(), call);
            let before = storage.paths();
            assert!(storage.publish("", "y", b"hello").is_err());
            assert_eq!(storage.paths(), before);
            let found = storage.crash_image(call, CrashPolicy::RANDOM).contents("x");
            assert!(found.is_none() || found.as_deref() == Some(b"hello"));
        }
    }
}

#[test]
fn history_gives_the_disk_after_each_call() {
    let storage = SimStorage::new();
    storage.record_history();
    storage.publish("", "x", b"one").unwrap();
    let acknowledged = storage.calls();
    storage.publish("", "x", b"second").unwrap();
    for call in storage.history() {
        for seed in 0..20 {
            let found = storage.crash_image_at(call, seed, CrashPolicy::RANDOM).contents("x");
            let expected: &[Option<&[u8]>] = match call {
                _ if call < acknowledged => &[None, Some(b"one")],
                _ if call < storage.calls() => &[Some(b"one"), Some(b"second")],
                _ => &[Some(b"second")],
            };
            assert!(expected.contains(&found.as_deref()), "after call {call}: {found:?}");
        }
    }
    assert_eq!(storage.history().len(), 13);
}

#[test]
fn planted_files_are_durable() {
    let (storage, _file) = machine();
    storage.plant("x", b"other");
    assert_eq!(storage.crash_image(3, CrashPolicy::WORST).contents("x").unwrap(), b"other");
}

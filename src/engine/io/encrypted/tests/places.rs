//! Keys, and which of them open what.

use super::*;
use crate::common::{Error, KeyFault};
use crate::io::MemoryStorage;

fn fault(outcome: Result<Arc<dyn Storage>>) -> KeyFault {
    match outcome {
        Err(Error::Key { fault, .. }) => fault,
        other => panic!("{other:?}"),
    }
}

fn unlocked(disk: &SimStorage, key: Option<&EncryptionKey>) -> Result<Arc<dyn Storage>> {
    unlock(Arc::new(disk.clone()), key)
}

fn rotate(storage: &dyn Storage, to: &EncryptionKey) -> Result<()> {
    storage.encryption().unwrap().rotate(to, &|| Ok(()))
}

#[test]
fn each_wrong_way_to_open_is_told_apart() {
    let (disk, storage) = disk();
    put(&*storage, "CURRENT", b"it is a database now");
    assert_eq!(fault(unlocked(&disk, None)), KeyFault::Missing);
    assert_eq!(fault(unlocked(&disk, Some(&key(2)))), KeyFault::Wrong);
    let plain = SimStorage::new();
    plain.plant("CURRENT", b"TRICURNT and so on");
    assert_eq!(fault(unlocked(&plain, Some(&key(1)))), KeyFault::NotEncrypted);
    disk.remove(KEYS).unwrap();
    let error = unlocked(&disk, Some(&key(1))).unwrap_err();
    assert!(matches!(&error, Error::Corrupt { file, .. } if file == KEYS), "{error}");
}

#[test]
fn every_flip_and_every_cut_of_keys_is_damage() {
    let (disk, _) = disk();
    let sealed = disk.contents(KEYS).unwrap();
    let cuts = (0..sealed.len()).map(|len| sealed[..len].to_vec());
    let flips = (0..sealed.len() * 8).map(|bit| {
        let mut damaged = sealed.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        damaged
    });
    for damaged in cuts.chain(flips) {
        disk.plant(KEYS, &damaged);
        let error = unlocked(&disk, Some(&key(1))).unwrap_err();
        assert!(matches!(&error, Error::Corrupt { file, .. } if file == KEYS), "{error}");
    }
}

#[test]
fn forged_keys_do_not_open() {
    let (disk, _) = disk();
    let sealed = disk.contents(KEYS).unwrap();
    // The head but for the salt and the check, and what is sealed.
    for at in (8..32).chain(80..sealed.len() - 16) {
        let mut forged = sealed.clone();
        forged[at] ^= 1;
        let end = forged.len() - 16;
        let hash = xxhash_rust::xxh3::xxh3_128(&forged[..end]).to_le_bytes();
        forged[end..].copy_from_slice(&hash);
        disk.plant(KEYS, &forged);
        assert!(unlocked(&disk, Some(&key(1))).is_err(), "byte {at}");
    }
}

#[test]
fn a_rotation_changes_the_key_and_old_files_still_open() {
    let (disk, storage) = disk();
    put(&*storage, "sst/1", b"old");
    rotate(&*storage, &key(2)).unwrap();
    put(&*storage, "sst/2", b"new");
    assert_eq!(fault(unlocked(&disk, Some(&key(1)))), KeyFault::Wrong);
    let again = unlocked(&disk, Some(&key(2))).unwrap();
    for storage in [&storage, &again] {
        assert_eq!(whole(&**storage, "sst/1").unwrap(), b"old");
        assert_eq!(whole(&**storage, "sst/2").unwrap(), b"new");
        let encryption = storage.encryption().unwrap();
        assert!(encryption.opens_with(&key(2)) && !encryption.opens_with(&key(1)));
        assert!(encryption.is_outdated("sst/1").unwrap() && !encryption.is_outdated("sst/2").unwrap());
    }
}

#[test]
fn data_keys_that_nothing_needs_are_forgotten() {
    let (disk, storage) = disk();
    put(&*storage, "sst/1", b"old");
    rotate(&*storage, &key(2)).unwrap();
    rotate(&*storage, &key(3)).unwrap();
    put(&*storage, "sst/3", b"new");
    let forget = |storage: &dyn Storage| {
        storage.encryption().unwrap().forget_unused(&["sst", "wal"], &|| Ok(())).unwrap()
    };
    assert_eq!(forget(&*storage), 2);
    assert_eq!(whole(&*storage, "sst/1").unwrap(), b"old");
    storage.remove("sst/1").unwrap();
    assert_eq!(forget(&*storage), 1);
    let again = unlocked(&disk, Some(&key(3))).unwrap();
    assert_eq!(whole(&*again, "sst/3").unwrap(), b"new");
    rotate(&*again, &key(4)).unwrap();
    assert_eq!(whole(&*again, "sst/3").unwrap(), b"new");
}

#[test]
fn a_reader_learns_of_a_rotation_or_is_told_of_it() {
    let (disk, storage) = disk();
    let reader = reopened(&disk);
    rotate(&*storage, &key(1)).unwrap();
    put(&*storage, "sst/1", b"under a new data key");
    assert_eq!(whole(&*reader, "sst/1").unwrap(), b"under a new data key");
    rotate(&*storage, &key(2)).unwrap();
    put(&*storage, "sst/2", b"under another key");
    let error = whole(&*reader, "sst/2").unwrap_err();
    assert!(matches!(error, Error::Key { fault: KeyFault::Wrong, .. }), "{error}");
    assert_eq!(whole(&*reader, "sst/1").unwrap(), b"under a new data key");
}

/// Whatever call a rotation is stopped at, the old key or the new one opens everything.
#[test]
fn a_rotation_that_is_cut_short_leaves_one_of_the_two_keys() {
    let (mut old, mut new) = (0, 0);
    for call in 1..20 {
        for seed in 0..8 {
            let (disk, storage) = disk();
            put(&*storage, "sst/1", b"kept");
            storage.sync_dir("sst").unwrap();
            disk.stop_at(disk.calls() + call, seed % 2 == 0);
            let outcome = rotate(&*storage, &key(2));
            let image = disk.crash_image(seed, crate::testing::CrashPolicy::RANDOM);
            let by_new = unlocked(&image, Some(&key(2)));
            let by_old = unlocked(&image, Some(&key(1)));
            assert!(outcome.is_err() || by_new.is_ok());
            assert!(by_old.is_ok() != by_new.is_ok(), "call {call}");
            (old, new) = (old + u32::from(by_old.is_ok()), new + u32::from(by_new.is_ok()));
            assert_eq!(whole(&*by_old.or(by_new).unwrap(), "sst/1").unwrap(), b"kept");
        }
    }
    assert!(old > 10 && new > 10, "{old} {new}");
}

#[test]
fn two_that_create_at_once_share_the_keys_of_the_first() {
    let disk = SimStorage::new();
    let (first, second) = (reopened(&disk), reopened(&disk));
    drop(first.lock().unwrap());
    put(&*first, "a", b"first");
    drop(second.lock().unwrap());
    assert_eq!(whole(&*second, "a").unwrap(), b"first");
}

#[test]
fn a_copy_has_the_same_keys_and_no_folder_of_another_database_gets_them() {
    let (_, storage) = disk();
    let place = MemoryStorage::new();
    let copy = encrypted_like(&*storage, Arc::new(place.clone())).unwrap();
    assert_eq!(place.list("").unwrap(), Vec::<String>::new());
    drop(copy.lock().unwrap());
    put(&*copy, "a", b"copied");
    rotate(&*storage, &key(1)).unwrap();
    let newer = encrypted_like(&*storage, Arc::new(place.clone())).unwrap();
    drop(newer.lock().unwrap());
    assert_eq!(whole(&*newer, "a").unwrap(), b"copied");
    rotate(&*storage, &key(2)).unwrap();
    assert!(matches!(encrypted_like(&*storage, Arc::new(place.clone())), Err(Error::Invalid { .. })));
    let (_, other) = disk();
    assert!(matches!(encrypted_like(&*other, Arc::new(place)), Err(Error::Invalid { .. })));
    assert_eq!(newer.stranger(&[]).unwrap(), Some("a".to_owned()));
    assert_eq!(newer.list("").unwrap(), ["a"]);
}

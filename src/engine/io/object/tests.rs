//! What an object store adds to the contract of every storage: fencing, doubt, and listings that lag.

use std::sync::Arc;
use std::time::Duration;

use super::{ObjectStorage, ObjectTuning, Objects, Patience, Trouble};
use crate::common::Error;
use crate::io::Storage;
use crate::testing::{Bucket, BucketClient, BucketFaults};

fn tuning() -> ObjectTuning {
    let patience = Patience { attempts: 40, pause: Duration::ZERO };
    ObjectTuning { keep_removed: Duration::ZERO, patience, cache_bytes: 1 << 20 }
}

fn calm() -> Bucket {
    Bucket::new(1, BucketFaults::default(), None)
}

fn storage(client: &BucketClient) -> ObjectStorage {
    ObjectStorage::new(Arc::new(client.clone()), tuning())
}

fn text(storage: &ObjectStorage, path: &str) -> String {
    let file = storage.open(path).unwrap();
    String::from_utf8(file.load(0..file.len()).unwrap().to_vec()).unwrap()
}

#[test]
fn the_newest_writer_wins_and_the_one_before_is_told_who() {
    let bucket = calm();
    let (one, two) = (storage(&bucket.client("one")), storage(&bucket.client("two")));
    let first = one.lock().unwrap();
    one.publish("", "CURRENT", b"1").unwrap();
    let mut log = one.create("wal/1.wal.new").unwrap();
    log.append(b"header").unwrap();
    one.rename("wal/1.wal.new", "wal/1.wal").unwrap();
    log.append(b" and a record").unwrap();
    log.sync().unwrap();
    log.append(b" and another").unwrap();
    assert!(first.is_held());
    let second = two.lock().unwrap();
    assert_eq!(text(&two, "wal/1.wal"), "header and a record");
    let refused = log.sync().unwrap_err();
    assert!(matches!(refused, Error::TakenOver { .. }), "{refused}");
    assert!(refused.to_string().contains(&format!("process {}", std::process::id())), "{refused}");
    assert!(!first.is_held() && second.is_held());
    assert!(matches!(one.publish("", "CURRENT", b"2"), Err(Error::TakenOver { .. })));
    assert!(matches!(first.lost(), Error::TakenOver { .. }));
    two.publish("", "CURRENT", b"3").unwrap();
    assert_eq!(text(&storage(&bucket.client("reader")), "CURRENT"), "3");
}

#[test]
fn numbers_of_two_writers_never_meet() {
    let bucket = calm();
    let (one, two) = (storage(&bucket.client("one")), storage(&bucket.client("two")));
    let first = one.lock().unwrap();
    assert_eq!(first.numbers_above(0).unwrap(), Some(1 << 32));
    let second = two.lock().unwrap();
    assert_eq!(second.numbers_above((1 << 32) + 5).unwrap(), Some(2 << 32));
    // Files of a database that was copied here from elsewhere.
    assert_eq!(second.numbers_above((9 << 32) + 5).unwrap(), Some(10 << 32));
    drop(second);
    assert_eq!(storage(&bucket.client("three")).lock().unwrap().numbers_above(0).unwrap(), Some(11 << 32));
    assert!(matches!(first.numbers_above(1 << 40), Err(Error::TakenOver { .. })));
}

#[test]
fn a_stopped_writer_removes_nothing_of_the_next_one() {
    let bucket = calm();
    let (one, two) = (storage(&bucket.client("one")), storage(&bucket.client("two")));
    let _first = one.lock().unwrap();
    let _second = two.lock().unwrap();
    for (number, writer) in [(1_u64 << 32, &one), (2 << 32, &two)] {
        let mut file = writer.create(&format!("sst/{number}.arrow")).unwrap();
        file.append(b"rows").unwrap();
        file.sync().unwrap();
        one.remove(&format!("sst/{number}.arrow")).unwrap();
    }
    // Nor what it has not put: another put may be under way there.
    bucket.plant("sst/4294967300.arrow", Some(b"rows"));
    one.remove("sst/4294967300.arrow").unwrap();
    assert!(bucket.contents("sst/4294967300.arrow").is_some());
    bucket.plant("sst/4294967300.arrow", None);
    assert_eq!(two.list("sst").unwrap(), [format!("{}.arrow", 2_u64 << 32)]);
}

#[test]
fn the_guard_against_a_stopped_writer_stays_for_ever() {
    let bucket = calm();
    let (one, two) = (storage(&bucket.client("one")), storage(&bucket.client("two")));
    let _first = one.lock().unwrap();
    one.publish("", "CURRENT", b"zombie").unwrap();
    let guard = two.lock().unwrap();
    (0..300).for_each(|at| two.publish("", "CURRENT", format!("{at}").as_bytes()).unwrap());
    assert!(bucket.names().len() < 80, "{}", bucket.names().len());
    assert!(matches!(one.publish("", "CURRENT", b"lost"), Err(Error::TakenOver { .. })));
    drop(guard);
    // One that ended needs no guard: its entries go.
    for _ in 0..50 {
        let storage = storage(&bucket.client("next"));
        let _lock = storage.lock().unwrap();
        (0..3).for_each(|_| storage.publish("", "CURRENT", b"x").unwrap());
    }
    assert!(bucket.names().len() < 80, "{}", bucket.names().len());
    assert!(matches!(one.publish("", "CURRENT", b"lost"), Err(Error::Closed(_) | Error::TakenOver { .. })));
}

#[test]
fn a_missing_entry_is_damage_that_names_it() {
    let bucket = calm();
    let writer = storage(&bucket.client("writer"));
    let _lock = writer.lock().unwrap();
    let mut log = writer.create("wal/1.wal.new").unwrap();
    log.append(b"header").unwrap();
    writer.rename("wal/1.wal.new", "wal/1.wal").unwrap();
    for _ in 0..3 {
        log.append(b"record").unwrap();
        log.sync().unwrap();
    }
    let names: Vec<String> = bucket.names();
    bucket.plant(&names[2], None);
    let found = storage(&bucket.client("reader"));
    found.list("").unwrap();
    let error = found.open("wal/1.wal").unwrap_err();
    assert!(matches!(error, Error::Corrupt { offset: 6, .. }), "{error}");
    bucket.plant(&names[2], Some(b"other bytes"));
    let error = storage(&bucket.client("reader")).list("").unwrap_err();
    assert!(error.to_string().contains(&names[2]), "{error}");
}

#[test]
fn no_answer_leaves_no_doubt_about_what_happened() {
    let faults = BucketFaults { busy: 7, lost: 3, late: 5, stale: 3, twice: 5 };
    for seed in 0..200 {
        let bucket = Bucket::new(seed, faults, None);
        let (one, two) = (storage(&bucket.client("one")), storage(&bucket.client("two")));
        let _first = one.lock().unwrap();
        let mut told = 0;
        for step in 1..=40 {
            one.publish("", "CURRENT", format!("{step}").as_bytes()).unwrap();
            told = step;
        }
        let _second = two.lock().unwrap();
        assert_eq!(text(&two, "CURRENT"), told.to_string(), "seed {seed}");
        assert!(matches!(one.publish("", "CURRENT", b"zombie"), Err(Error::TakenOver { .. })), "seed {seed}");
        two.publish("", "CURRENT", b"last").unwrap();
        bucket.heal();
        assert_eq!(text(&storage(&bucket.client("reader")), "CURRENT"), "last", "seed {seed}");
    }
}

#[test]
fn a_writer_in_doubt_puts_nothing_more() {
    let bucket = calm();
    let client = bucket.client("one");
    let one = storage(&client);
    let lock = one.lock().unwrap();
    one.publish("", "CURRENT", b"1").unwrap();
    client.stop();
    assert!(matches!(one.publish("", "CURRENT", b"2"), Err(Error::Io { .. })));
    assert!(!lock.is_held());
    assert!(matches!(one.publish("", "CURRENT", b"3"), Err(Error::Closed(_))));
}

#[test]
fn what_a_store_refuses_is_said_once_and_not_tried_again() {
    #[derive(Debug)]
    struct Refusing(BucketClient);
    impl Objects for Refusing {
        fn describe(&self) -> String {
            "s3://shop".into()
        }
        fn put(&self, _: &str, _: bytes::Bytes) -> Result<(), Trouble> {
            Err(Trouble::Final(std::io::ErrorKind::PermissionDenied, "no".into()))
        }
        fn put_new(&self, name: &str, bytes: bytes::Bytes) -> Result<(), Trouble> {
            self.put(name, bytes)
        }
        fn upload(&self, _: &str) -> Result<Box<dyn super::Upload>, Trouble> {
            Err(Trouble::Missing)
        }
        fn open(&self, name: &str, len: u64, unless: Option<&str>) -> Result<Option<super::Opened>, Trouble> {
            self.0.open(name, len, unless)
        }
        fn get(&self, name: &str) -> Result<bytes::Bytes, Trouble> {
            self.0.get(name)
        }
        fn ranges(&self, name: &str, ranges: &[std::ops::Range<u64>]) -> Result<Vec<bytes::Bytes>, Trouble> {
            self.0.ranges(name, ranges)
        }
        fn list(&self, folder: &str, after: Option<&str>) -> Result<Vec<String>, Trouble> {
            self.0.list(folder, after)
        }
        fn delete(&self, name: &str) -> Result<(), Trouble> {
            self.0.delete(name)
        }
    }
    let storage = ObjectStorage::new(Arc::new(Refusing(calm().client("one"))), tuning());
    let refused = storage.lock().unwrap_err().to_string();
    assert!(refused.contains("s3://shop/journal/00000000000000000001"), "{refused}");
}

#![expect(clippy::unwrap_used, reason = "tests")]
//! What was laid into a container comes out of it, or an error does.

use std::sync::Arc;

use super::*;
use crate::common::{ClosedReason, Error, ErrorKind};
use crate::io::{FileReader, MemoryStorage, Storage};

const DIRS: [&str; 2] = ["sst", "manifest"];

fn write(storage: &dyn Storage, path: &str, bytes: &[u8]) {
    let mut file = storage.create(path).unwrap();
    file.append(bytes).unwrap();
    file.sync().unwrap();
}

fn file(bytes: &[u8]) -> Arc<dyn FileReader> {
    let storage = MemoryStorage::new();
    write(&storage, "file", bytes);
    storage.open("file").unwrap()
}

fn begun(place: &MemoryStorage) -> ContainerWriter {
    let reader = place.clone();
    ContainerWriter::new(place.create("file").unwrap(), Box::new(move || reader.open("file"))).unwrap()
}

fn built() -> Vec<u8> {
    let place = MemoryStorage::new();
    let container = begun(&place);
    for dir in DIRS {
        container.create_dir(dir).unwrap();
    }
    container.publish("", "UNFINISHED", b"to be removed").unwrap();
    write(&container, "sst/1.arrow", &[7; 200]);
    drop(container.create("sst/8.arrow").unwrap());
    write(&container, "sst/1.sum", b"");
    write(&container, "sst/9.arrow", b"to be removed");
    container.remove("sst/9.arrow").unwrap();
    container.publish("manifest", "3.mf", b"a manifest").unwrap();
    container.publish("", "CURRENT", b"the first").unwrap();
    container.publish("", "CURRENT", b"names it").unwrap();
    container.remove("UNFINISHED").unwrap();
    assert_eq!(container.list("sst").unwrap(), ["1.arrow", "1.sum"]);
    assert_eq!(&container.open("sst/1.arrow").unwrap().read(0..200).unwrap()[..], [7; 200]);
    let len = container.finish(&DIRS).unwrap();
    let file = place.open("file").unwrap();
    assert_eq!(len, file.len());
    file.read(0..len).unwrap().to_vec()
}

#[test]
fn members_come_out_as_they_went_in_and_lie_where_they_can_be_mapped() {
    let container = ContainerStorage::open(file(&built())).unwrap();
    let paths: Vec<&str> = container.members().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["CURRENT", "manifest/3.mf", "sst/1.arrow", "sst/1.sum"]);
    assert!(container.members().all(|(_, member)| member.offset % 64 == 0));
    for (path, bytes) in [("CURRENT", &b"names it"[..]), ("sst/1.arrow", &[7; 200]), ("sst/1.sum", b"")] {
        let member = container.open(path).unwrap();
        assert_eq!((&member.read(0..member.len()).unwrap()[..], member.path()), (bytes, path));
        assert!(member.read(0..member.len() + 1).is_err());
    }
    assert_eq!(container.list("").unwrap(), ["CURRENT"]);
    assert_eq!(container.list("wal").unwrap(), Vec::<String>::new());
    assert_eq!(container.open("sst/9.arrow").unwrap_err().kind(), ErrorKind::Io);
    container.verify().unwrap();
}

#[test]
fn nothing_can_be_written_to_a_container() {
    let container = ContainerStorage::open(file(&built())).unwrap();
    let refused = [
        container.create("sst/2.arrow").map(drop),
        container.remove("CURRENT"),
        container.rename("CURRENT", "PAST"),
        container.lock().map(drop),
        container.sync_dir(""),
        container.create_dir("wal"),
    ];
    for outcome in refused {
        assert!(matches!(outcome, Err(Error::Closed(ClosedReason::SingleFile))), "{outcome:?}");
    }
}

/// True when no member differs from what was written.
fn is_right(container: &ContainerStorage, whole: &ContainerStorage) -> bool {
    let content = |storage: &ContainerStorage, path: &str| {
        let member = storage.open(path).unwrap();
        member.read(0..member.len()).unwrap()
    };
    whole.members().eq(container.members())
        && whole.members().all(|(path, _)| content(container, path) == content(whole, path))
}

#[test]
fn every_flipped_bit_is_found_by_the_opening_or_by_a_check() {
    let bytes = built();
    let whole = ContainerStorage::open(file(&bytes)).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        if let Ok(container) = ContainerStorage::open(file(&flipped)) {
            let error = container.verify().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "bit {bit}");
            let is_named = error.to_string().contains("does not match its hash");
            assert_eq!(is_named, !is_right(&container, &whole), "bit {bit}: {error}");
        }
    }
}

#[test]
fn a_cut_or_lengthened_container_does_not_open() {
    let bytes = built();
    for len in 0..bytes.len() {
        let error = ContainerStorage::open(file(&bytes[..len])).unwrap_err();
        let kind = if len < 8 { ErrorKind::Invalid } else { ErrorKind::Corrupt };
        assert_eq!(error.kind(), kind, "cut at {len}: {error}");
    }
    for more in [1, 64] {
        let longer = [&bytes[..], &vec![0; more]].concat();
        assert_eq!(ContainerStorage::open(file(&longer)).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn a_second_member_waits_for_the_first() {
    let place = MemoryStorage::new();
    let container = begun(&place);
    let mut first = container.create("sst/1.arrow").unwrap();
    assert!(container.create("sst/2.arrow").is_err());
    first.sync().unwrap();
    assert!(first.append(b"late").is_err());
    assert_eq!(container.create("sst/1.arrow").unwrap_err().kind(), ErrorKind::Io);
    container.create("sst/2.arrow").unwrap();
}

#[test]
fn a_draft_gets_a_name_that_is_free_or_to_be_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a file.trilith");
    let put = |text: &[u8], replace| {
        let (draft, mut file) = FileDraft::create(&path, replace)?;
        file.append(text)?;
        draft.publish()
    };
    put(b"one", false).unwrap();
    assert_eq!(put(b"two", false).unwrap_err().kind(), ErrorKind::Invalid);
    let (late, _) = FileDraft::create(&folder.path().join("late"), false).unwrap();
    std::fs::write(folder.path().join("late"), "first").unwrap();
    assert_eq!(late.publish().unwrap_err().kind(), ErrorKind::Invalid);
    put(b"three", true).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"three");
    drop(FileDraft::create(&path, true).unwrap());
    let mut left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["a file.trilith", "late"]);
    assert_eq!(FileDraft::create(folder.path(), true).unwrap_err().kind(), ErrorKind::Invalid);
}

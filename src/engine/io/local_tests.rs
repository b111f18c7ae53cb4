#![expect(clippy::unwrap_used, reason = "tests")]

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use super::*;

fn open(dir: &Path) -> LocalStorage {
    LocalStorage::open(dir, LocalOptions::default()).unwrap()
}

#[test]
fn files_and_folders_are_private() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("a/b/db");
    let storage = open(&root);
    storage.create_dir("wal").unwrap();
    storage.publish("wal", "1.wal", b"x").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&root), 0o700);
    assert_eq!(mode(&home.path().join("a")), 0o700);
    assert_eq!(mode(&root.join("wal")), 0o700);
    assert_eq!(mode(&root.join("wal/1.wal")), 0o600);
}

#[test]
fn links_pipes_and_folders_are_not_files() {
    let home = tempfile::tempdir().unwrap();
    let storage = open(home.path());
    fs::write(home.path().join("secret"), "secret").unwrap();
    symlink(home.path().join("secret"), home.path().join("link")).unwrap();
    assert!(storage.open("link").is_err());
    assert!(storage.create("link").is_err());
    storage.create_dir("folder").unwrap();
    assert!(matches!(storage.open("folder"), Err(Error::Invalid { .. })));
    let pipe = std::process::Command::new("mkfifo").arg(home.path().join("pipe")).status();
    if pipe.is_ok_and(|made| made.success()) {
        assert!(matches!(storage.open("pipe"), Err(Error::Invalid { .. })));
    }
    assert_eq!(storage.list("").unwrap(), ["secret"]);
}

#[test]
fn bad_places_are_clear_errors() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    fs::write(&file, "x").unwrap();
    let message = LocalStorage::open(&file, LocalOptions::default()).unwrap_err().to_string();
    assert!(message.contains("not a folder"), "{message}");
    assert!(matches!(
        LocalStorage::open(&file.join("db"), LocalOptions::default()),
        Err(Error::Invalid { .. })
    ));
    let absent = home.path().join("absent");
    let look = LocalOptions { create: false, ..LocalOptions::default() };
    assert!(matches!(LocalStorage::open(&absent, look), Err(Error::NotFound { .. })));
    assert!(!absent.exists());
    let looking = LocalOptions { read_only: true, ..LocalOptions::default() };
    assert!(matches!(LocalStorage::open(&absent, looking), Err(Error::NotFound { .. })));
}

#[test]
fn read_only_changes_nothing() {
    let home = tempfile::tempdir().unwrap();
    open(home.path()).publish("", "x", b"hello").unwrap();
    let storage =
        LocalStorage::open(home.path(), LocalOptions { read_only: true, ..LocalOptions::default() }).unwrap();
    let closed = |result: Result<()>| assert!(matches!(result, Err(Error::Closed(ClosedReason::ReadOnly))));
    closed(storage.create("y").map(drop));
    closed(storage.create_dir("wal"));
    closed(storage.remove("x"));
    closed(storage.rename("x", "y"));
    closed(storage.sync_dir(""));
    closed(storage.lock().map(drop));
    assert_eq!(storage.open("x").unwrap().read(0..5).unwrap().as_slice(), b"hello");
    assert_eq!(storage.list("").unwrap(), ["x"]);
}

#[test]
fn a_file_cut_short_is_noticed() {
    for mmap in [true, false] {
        let home = tempfile::tempdir().unwrap();
        let storage =
            LocalStorage::open(home.path(), LocalOptions { mmap, ..LocalOptions::default() }).unwrap();
        storage.publish("", "x", &[7; 10_000]).unwrap();
        let reader = storage.open("x").unwrap();
        reader.check_len().unwrap();
        OpenOptions::new().write(true).open(home.path().join("x")).unwrap().set_len(100).unwrap();
        assert!(matches!(reader.check_len(), Err(Error::Corrupt { .. })));
        assert!(matches!(reader.load(0..10_000), Err(Error::Corrupt { .. })));
    }
}

#[test]
fn mapped_reads_share_one_memory() {
    let home = tempfile::tempdir().unwrap();
    let storage = open(home.path());
    storage.publish("", "x", &[7; 10_000]).unwrap();
    let reader = storage.open("x").unwrap();
    assert!(reader.is_mapped());
    assert_eq!(reader.read(0..10).unwrap().as_ptr(), reader.read(0..10_000).unwrap().as_ptr());
    assert_ne!(reader.read(0..10).unwrap().as_ptr(), reader.load(0..10).unwrap().as_ptr());
}

#[test]
fn a_writer_that_failed_stays_failed() {
    // Opened for reading only.
    let mut writer = LocalWriter::new(std::fs::File::open("/dev/null").unwrap(), "wal/1.wal");
    assert!(matches!(writer.append(b"x"), Err(Error::Io { .. })));
    assert!(matches!(writer.sync(), Err(Error::Closed(ClosedReason::Poisoned))));
    assert!(matches!(writer.append(b"x"), Err(Error::Closed(ClosedReason::Poisoned))));
    assert_eq!(writer.len(), 0);
}

#[test]
fn a_full_writer_takes_no_more_and_still_syncs() {
    let full = OpenOptions::new().write(true).open("/dev/full");
    let Ok(full) = full else { return };
    assert_eq!(full.metadata().unwrap().size(), 0);
    let mut writer = LocalWriter::new(full, "wal/1.wal");
    assert!(writer.append(b"x").unwrap_err().is_out_of_space());
    assert!(matches!(writer.append(b"x"), Err(Error::Closed(ClosedReason::Poisoned))));
    // The device itself cannot be synced; what counts is that it was asked.
    assert!(!matches!(writer.sync(), Err(Error::Closed(_))));
    assert_eq!(writer.len(), 0);
}

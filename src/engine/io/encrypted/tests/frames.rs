//! Files that grow.

use super::super::cipher::HEADER_LEN;
use super::super::frame::{FRAME_MAX, FRAME_OVERHEAD};
use super::*;
use crate::io::{FileReader, FileWriter};

/// A log of pieces of these lengths, and its bytes.
fn log(storage: &dyn Storage, lens: &[usize]) -> (Box<dyn FileWriter>, Vec<u8>) {
    let bytes = bytes(lens.iter().sum());
    let mut file = storage.create_log("wal/1").unwrap();
    let mut at = 0;
    for len in lens {
        file.append(&bytes[at..at + len]).unwrap();
        at += len;
    }
    (file, bytes)
}

fn open(disk: &SimStorage) -> Arc<dyn FileReader> {
    reopened(disk).open("wal/1").unwrap()
}

#[test]
fn appends_can_be_read_before_any_sync_and_from_any_place() {
    let (disk, storage) = disk();
    let lens: Vec<usize> = [1, 48, FRAME_MAX, FRAME_MAX + 1, 300_000].into_iter().chain([77; 3000]).collect();
    let (file, bytes) = log(&*storage, &lens);
    let reader = open(&disk);
    assert_eq!((file.len(), reader.len()), (bytes.len() as u64, bytes.len() as u64));
    for start in (0..bytes.len()).step_by(9973) {
        for len in [0, 1, 100, 200_000] {
            let end = (start + len).min(bytes.len());
            assert_eq!(reader.load(start as u64..end as u64).unwrap().as_slice(), &bytes[start..end]);
        }
    }
    assert!(reader.load(0..reader.len() + 1).is_err());
}

#[test]
fn room_that_was_promised_is_there() {
    let (disk, storage) = disk();
    let (mut file, _) = log(&*storage, &[96]);
    file.sync().unwrap();
    let room = file.reserve(10_000);
    assert!(room >= 10_000, "{room}");
    let on_disk = disk.contents("wal/1").unwrap().len();
    while file.len() + 48 <= room {
        file.append(&[7; 48]).unwrap();
    }
    assert_eq!(disk.contents("wal/1").unwrap().len(), on_disk);
    let reader = open(&disk);
    assert_eq!(reader.len(), file.len());
    file.trim();
    assert_eq!(open(&disk).len(), file.len());
}

#[test]
fn a_damaged_frame_is_zeros_and_those_behind_it_are_found() {
    let (disk, storage) = disk();
    let (_, bytes) = log(&*storage, &[100, 200, 300, 400]);
    let sealed = disk.contents("wal/1").unwrap();
    let starts = [0, 100, 300, 600, 1000];
    for at in HEADER_LEN as usize..sealed.len() {
        let mut damaged = sealed.clone();
        damaged[at] ^= 0x10;
        disk.plant("wal/1", &damaged);
        let reader = open(&disk);
        let read = reader.load(0..reader.len()).unwrap();
        let frame = (0..4)
            .rev()
            .find(|i| at >= HEADER_LEN as usize + starts[*i] + i * FRAME_OVERHEAD as usize)
            .unwrap();
        let mut expected = bytes.clone();
        expected[starts[frame]..starts[frame + 1]].fill(0);
        // Nothing tells how long a last frame was whose header is damaged.
        expected.truncate(read.len());
        assert!(read.len() == bytes.len() || (frame == 3 && read.len() == 600));
        assert_eq!(read.as_slice(), expected, "byte {at}");
        // Also where only frames behind the range are left.
        let first = reader.load(0..60.min(reader.len())).unwrap();
        assert_eq!(first.as_slice(), &expected[..first.len()]);
    }
}

#[test]
fn a_cut_leaves_the_frames_before_it() {
    let (disk, storage) = disk();
    let (_, bytes) = log(&*storage, &[100, 200, 300]);
    let sealed = disk.contents("wal/1").unwrap();
    let ends = [0u64, 100, 300, 600];
    for len in HEADER_LEN as usize..=sealed.len() {
        disk.plant("wal/1", &sealed[..len]);
        let reader = open(&disk);
        let whole =
            (1..4).filter(|i| len as u64 >= HEADER_LEN + ends[*i] + *i as u64 * FRAME_OVERHEAD).count();
        assert_eq!(reader.len(), ends[whole]);
        assert_eq!(reader.load(0..ends[whole]).unwrap().as_slice(), &bytes[..ends[whole] as usize]);
    }
}

#[test]
fn frames_open_only_in_their_place_and_file() {
    let (disk, storage) = disk();
    let (_, bytes) = log(&*storage, &[100, 100, 100]);
    let one = disk.contents("wal/1").unwrap();
    let frame = |i: usize| {
        let start = HEADER_LEN as usize + i * (100 + FRAME_OVERHEAD as usize);
        start..start + 100 + FRAME_OVERHEAD as usize
    };
    storage.remove("wal/1").unwrap();
    drop(log(&*storage, &[100, 100, 100]));
    let two = disk.contents("wal/1").unwrap();
    assert_ne!(one[..HEADER_LEN as usize], two[..HEADER_LEN as usize]);
    let with = |from: &[u8], i: usize, j: usize| {
        let mut changed = one.clone();
        changed[frame(j)].copy_from_slice(&from[frame(i)]);
        disk.plant("wal/1", &changed);
        let reader = open(&disk);
        reader.load(0..reader.len()).unwrap().to_vec()
    };
    let mut lacking = bytes.clone();
    lacking[100..200].fill(0);
    assert_eq!(with(&two, 1, 1), lacking);
    assert_eq!(with(&one, 0, 1), lacking);
    assert_eq!(with(&one, 2, 1)[..100], bytes[..100]);
}

#[test]
fn whoever_follows_hears_of_more() {
    let folder = tempfile::tempdir().unwrap();
    let local = || Arc::new(crate::LocalStorage::open(folder.path(), Default::default()).unwrap());
    let storage = unlock(local(), Some(&key(1))).unwrap();
    storage.create_dir("wal").unwrap();
    let _lock = storage.lock().unwrap();
    let (mut file, bytes) = log(&*storage, &[100, 60]);
    file.sync().unwrap();
    let reader = unlock(local(), Some(&key(1))).unwrap().open("wal/1").unwrap();
    let mut four = [0; 4];
    assert_eq!(reader.peek(100, &mut four).unwrap(), Some(4));
    assert_eq!(four, bytes[100..104]);
    assert_eq!(reader.peek(160, &mut four).unwrap(), Some(0));
    file.reserve(4000);
    assert_eq!(reader.peek(160, &mut four).unwrap(), Some(0));
    file.append(b"a record").unwrap();
    assert_eq!(reader.peek(160, &mut four).unwrap(), None);
}

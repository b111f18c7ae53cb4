//! Files that are sealed once.

use super::super::cipher::HEADER_LEN;
use super::super::pages::PAGE;
use super::*;
use crate::common::Error;

const SEALED: usize = PAGE as usize + 16;

#[test]
fn any_length_in_any_pieces_comes_back() {
    let (disk, storage) = disk();
    let page = PAGE as usize;
    let lens = [0, 1, 15, 16, page - 1, page, page + 1, 2 * page, 2 * page + 5, 5 * page];
    for (number, len) in lens.into_iter().enumerate() {
        let (path, bytes) = (format!("sst/{number}"), bytes(len));
        let mut file = storage.create(&path).unwrap();
        for piece in bytes.chunks(1 + number * 5000) {
            file.append(piece).unwrap();
        }
        assert_eq!(file.len(), len as u64);
        file.sync().unwrap();
        assert!(file.append(b"more").is_err());
        let reader = reopened(&disk).open(&path).unwrap();
        assert_eq!(reader.len(), len as u64);
        for (start, end) in [(0, len), (len / 3, len / 2), (len.saturating_sub(1), len), (len, len)] {
            let read = reader.read(start as u64..end as u64).unwrap();
            assert_eq!(read.as_slice(), &bytes[start..end], "{start}..{end} of {len}");
        }
        let aligned = (len / 64 * 64) as u64;
        assert_eq!(reader.read(aligned..len as u64).unwrap().as_ptr() as usize % 64, 0);
    }
}

#[test]
fn a_file_whose_writer_was_dropped_is_whole() {
    let (disk, storage) = disk();
    storage.create("sst/1").unwrap().append(b"derived").unwrap();
    assert_eq!(whole(&*reopened(&disk), "sst/1").unwrap(), b"derived");
}

#[test]
fn every_flipped_bit_is_noticed() {
    let (disk, storage) = disk();
    put(&*storage, "sst/1", &bytes(700));
    let sealed = disk.contents("sst/1").unwrap();
    for bit in 0..sealed.len() * 8 {
        let mut damaged = sealed.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        disk.plant("sst/1", &damaged);
        let error = whole(&*storage, "sst/1").unwrap_err();
        let is_named = matches!(&error, Error::Corrupt { file, .. } if file == "sst/1");
        assert!(is_named || matches!(error, Error::Unsupported { .. }), "bit {bit}: {error}");
    }
}

#[test]
fn every_cut_and_every_byte_too_many_is_noticed() {
    let (disk, storage) = disk();
    let plain = bytes(3 * PAGE as usize + 40);
    put(&*storage, "sst/1", &plain);
    let sealed = disk.contents("sst/1").unwrap();
    let edges = (0..4).map(|page| HEADER_LEN as usize + page * SEALED);
    let near = edges.flat_map(|edge| (edge.saturating_sub(20)..edge + 20).chain([edge + 5000]));
    for len in near.filter(|len| *len < sealed.len()).chain([0, 1, 63]) {
        disk.plant("sst/1", &sealed[..len]);
        assert!(whole(&*storage, "sst/1").is_err(), "cut at {len}");
    }
    for more in [1, 15, 16, 17, 5000] {
        let mut longer = sealed.clone();
        longer.resize(sealed.len() + more, 0);
        disk.plant("sst/1", &longer);
        assert!(whole(&*storage, "sst/1").is_err(), "{more} more");
    }
}

#[test]
fn pages_open_only_in_their_place() {
    let (disk, storage) = disk();
    for path in ["sst/1", "sst/2"] {
        put(&*storage, path, &bytes(4 * PAGE as usize));
    }
    let (one, two) = (disk.contents("sst/1").unwrap(), disk.contents("sst/2").unwrap());
    let page =
        |number: usize| HEADER_LEN as usize + number * SEALED..HEADER_LEN as usize + (number + 1) * SEALED;
    for (from, to) in [(0, 1), (1, 0), (3, 2), (2, 3)] {
        let mut swapped = one.clone();
        swapped[page(to)].copy_from_slice(&one[page(from)]);
        disk.plant("sst/1", &swapped);
        assert!(whole(&*storage, "sst/1").is_err(), "{from} at {to}");
        assert_eq!(storage.open("sst/1").unwrap().read(PAGE + 1..PAGE + 2).is_err(), to == 1);
    }
    let mut spliced = one.clone();
    spliced[page(1)].copy_from_slice(&two[page(1)]);
    disk.plant("sst/1", &spliced);
    assert!(whole(&*storage, "sst/1").is_err());
    disk.plant("sst/1", &[&two[..HEADER_LEN as usize], &one[HEADER_LEN as usize..]].concat());
    assert!(whole(&*storage, "sst/1").is_err());
}

#[test]
fn a_file_opens_in_no_other_folder_and_in_no_other_database() {
    let (disk, storage) = disk();
    put(&*storage, "sst/1", b"secret");
    disk.plant("wal/1", &disk.contents("sst/1").unwrap());
    assert!(matches!(whole(&*storage, "wal/1"), Err(Error::Corrupt { .. })));
    let (other_disk, other) = super::disk();
    other_disk.plant("sst/1", &disk.contents("sst/1").unwrap());
    assert!(matches!(whole(&*other, "sst/1"), Err(Error::Corrupt { .. })));
    disk.plant("sst/2", b"plain bytes, put there by somebody, longer than a header is, which has 64");
    let error = whole(&*storage, "sst/2").unwrap_err().to_string();
    assert!(error.contains("sst/2") && error.contains("not"), "{error}");
}

#[test]
fn an_append_that_failed_is_the_last() {
    let (disk, storage) = disk();
    let mut file = storage.create("sst/1").unwrap();
    disk.stop_at(disk.calls() + 1, true);
    assert!(file.append(&bytes(3 * PAGE as usize)).is_err());
    assert!(file.append(b"x").is_err());
    assert!(file.sync().is_err());
}

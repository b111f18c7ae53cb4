//! What encryption promises of the bytes on a disk: no nonce serves two pieces, and a piece that is not what was sealed gives
//! nothing.

use std::collections::HashMap;
use std::sync::Arc;

use trilith_engine::format::Hash128;
use trilith_engine::io::{ENCRYPTED_MAGIC, KEYS, Salts, unlock, unlock_with_salts};
use trilith_engine::testing::SimStorage;
use trilith_engine::{Engine, Options};

use crate::alphabet::{commit, create};
use crate::encrypted::the_key;
use crate::model::State;
use crate::op::{self, Op};
use crate::specimen::{Specimen, plain_options};

const HEADER: usize = 64;
const FRAME: usize = 24;
const TAG: usize = 16;
const PAGE: usize = (16 << 10) + TAG;

/// A file's header and a place in it: what a nonce and its key follow from.
type Use = (Vec<u8>, u64);

/// The sealed pieces of a file.
fn pieces(bytes: &[u8]) -> Vec<(u64, &[u8])> {
    let frames = bytes[12] == 1;
    let mut rest = &bytes[HEADER..];
    if !frames {
        return (0..).zip(rest.chunks(PAGE)).collect();
    }
    let mut found = Vec::new();
    while let Some(head) = rest.first_chunk::<FRAME>().filter(|head| head.starts_with(b"TFRM")) {
        let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| head[at + i]));
        let len = FRAME + (number(0) >> 32) as usize + TAG;
        let Some(piece) = rest.get(..len) else { break };
        found.push((number(8), piece));
        rest = &rest[len..];
    }
    found
}

/// A nonce that served two pieces on a disk.
pub fn sealed_twice(disk: &SimStorage) -> Option<String> {
    let mut served: HashMap<Use, Vec<u8>> = HashMap::new();
    for path in disk.paths() {
        let bytes = disk.contents(&path).unwrap_or_default();
        if !bytes.starts_with(&ENCRYPTED_MAGIC) || bytes.len() < HEADER {
            continue;
        }
        for (at, piece) in pieces(&bytes) {
            let before = served.insert((bytes[..HEADER].to_vec(), at), piece.to_vec());
            if before.is_some_and(|before| before != piece) {
                return Some(format!("a nonce of {path} served twice, for piece {at}"));
            }
        }
    }
    None
}

/// A database whose files all have one salt must not pass.
pub fn notices_one_salt() -> bool {
    let one: Salts = || Ok([7; 32]);
    let written = |salts: Option<Salts>| {
        let (disk, key) = (SimStorage::new(), the_key());
        let storage = match salts {
            Some(salts) => unlock_with_salts(Arc::new(disk.clone()), Some(&key), salts),
            None => unlock(Arc::new(disk.clone()), Some(&key)),
        };
        let engine = Engine::open(storage.unwrap(), plain_options()).unwrap();
        let mut state = State::new();
        for step in [create("k", 1), create("l", 0), commit(1, trilith_engine::Durability::Group), Op::Flush]
        {
            op::run(&engine, &step, &state).unwrap();
            op::apply(&mut state, &step);
        }
        drop(engine);
        sealed_twice(&disk)
    };
    written(None).is_none() && written(Some(one)).is_some()
}

/// `KEYS` without its hash.
pub fn keys_of(specimen: &Specimen) -> Vec<u8> {
    let mut bytes = specimen.disk.contents(KEYS).unwrap();
    bytes.truncate(bytes.len() - size_of::<Hash128>());
    bytes
}

/// Opens a database whose `KEYS` are these bytes, under a hash that agrees with them.
pub fn keys(specimen: &Specimen, mut bytes: Vec<u8>) {
    let disk = specimen.disk.kill_image();
    let _ = Hash128::seal(&mut bytes);
    disk.plant(KEYS, &bytes);
    let key = the_key();
    let opened = unlock(Arc::new(disk), Some(&key));
    let options = Options { read_only: true, encryption_key: None, ..plain_options() };
    let _ = opened.and_then(|storage| Engine::open(storage, options));
}

/// A sealed file.
pub fn file_of(specimen: &Specimen, which: u8) -> &(String, Vec<u8>) {
    let sealed: Vec<_> =
        specimen.files.iter().filter(|(_, bytes)| bytes.starts_with(&ENCRYPTED_MAGIC)).collect();
    sealed[usize::from(which >> 1) % sealed.len()]
}

/// Reads a sealed file that became `changed`, for an odd `which` with its header under a checksum that agrees: what can be
/// read of it is what was sealed.
pub fn file(specimen: &Specimen, which: u8, mut changed: Vec<u8>) {
    let (path, bytes) = file_of(specimen, which);
    let key = the_key();
    let read = |disk: SimStorage| {
        let file = unlock(Arc::new(disk), Some(&key))?.open(path)?;
        file.load(0..file.len()).map(|bytes| bytes.to_vec())
    };
    let truth = read(specimen.disk.kill_image()).unwrap();
    let disk = specimen.disk.kill_image();
    if changed.len() >= HEADER && which % 2 == 1 {
        let sum = crc32c(&changed[..HEADER - 4]);
        changed[HEADER - 4..HEADER].copy_from_slice(&sum.to_le_bytes());
    }
    disk.plant(path, &changed);
    let Ok(found) = read(disk) else { return };
    // A header that says so makes a log of any file: one without a frame that opens, which whoever expects bytes refuses.
    let is_log = bytes[12] == 1 || changed.get(12) == Some(&1);
    let same = |at: usize| found[at] == truth.get(at).copied().unwrap_or(0) || (is_log && found[at] == 0);
    assert!(
        is_log || found.len() == truth.len(),
        "{path}: {} bytes, {} were sealed",
        found.len(),
        truth.len()
    );
    assert!((0..found.len()).all(same), "{path} gives bytes that were not sealed");
}

/// The checksum of headers (Castagnoli), bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |sum: u32| (sum >> 1) ^ (0x82f6_3b78 & (sum & 1).wrapping_neg());
    !bytes.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| step(sum)))
}

//! Seals everything again that a change of some bytes broke, as somebody would who knows the format: no checksum tells
//! what was changed.

use std::collections::BTreeSet;

use serde_json::Value;
use trilith_engine::format::Hash128;
use trilith_engine::format::block::{BLOCK_LEN, BlockSeed};
use trilith_engine::format::sealed::{Sealed, seal, unseal};
use trilith_engine::testing::SimStorage;
use trilith_engine::{DatabaseId, FileId};

use crate::parsers::number;
use crate::specimen::Specimen;

const MANIFEST: [u8; 8] = *b"TRIMANIF";
const CURRENT: [u8; 8] = *b"TRICURNT";

/// Puts another payload into the live manifest. `None` when `edit` gives none.
pub fn reseal(disk: &SimStorage, edit: impl FnOnce(&[u8]) -> Option<Vec<u8>>) -> Option<()> {
    let bytes = disk.contents("CURRENT")?;
    let (header, payload, _) = unseal("CURRENT", CURRENT, &bytes).ok()?;
    let mut current: Value = serde_json::from_slice(payload).ok()?;
    let path = format!("manifest/{}.mf", header.number);
    let bytes = disk.contents(&path)?;
    let (_, payload, _) = unseal(&path, MANIFEST, &bytes).ok()?;
    let (bytes, hash) = seal(Sealed { magic: MANIFEST, ..header }, &edit(payload)?);
    disk.plant(&path, &bytes);
    current["len"] = bytes.len().into();
    current["hash"] = format!("{hash:032x}").into();
    let (bytes, _) = seal(Sealed { magic: CURRENT, ..header }, &serde_json::to_vec(&current).ok()?);
    disk.plant("CURRENT", &bytes);
    Some(())
}

/// The database of a specimen.
pub fn database(specimen: &Specimen) -> DatabaseId {
    let bytes = specimen.disk.contents("CURRENT").unwrap();
    unseal("CURRENT", CURRENT, &bytes).unwrap().0.database
}

/// A copy of the specimen with `bytes` in the place of the data file at `path`.
pub fn with_data(specimen: &Specimen, path: &str, bytes: &[u8]) -> SimStorage {
    let disk = specimen.disk.kill_image();
    disk.plant(path, bytes);
    let companion = path.replace(".arrow", ".sum");
    let mut sum = disk.contents(&companion).unwrap();
    let file = number(path);
    let sums = blocks(&sum);
    let seed = BlockSeed::new(database(specimen), file);
    for (n, (slot, block)) in sum[sums].chunks_mut(4).zip(bytes.chunks(BLOCK_LEN)).enumerate() {
        slot.copy_from_slice(&seed.sum(n as u64, block).to_le_bytes());
    }
    sum.truncate(sum.len() - size_of::<Hash128>());
    let hash = Hash128::seal(&mut sum);
    disk.plant(&companion, &sum);
    reseal(&disk, |payload| {
        let mut manifest: Value = serde_json::from_slice(payload).ok()?;
        state_hash(&mut manifest, file, hash);
        serde_json::to_vec(&manifest).ok()
    });
    disk
}

/// Where a companion has the checksums of the data file's blocks.
fn blocks(sum: &[u8]) -> std::ops::Range<usize> {
    const DIRECTORY: usize = 96;
    const ENTRY: usize = 24;
    let number =
        |at: usize| sum[at..at + 8].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes)) as usize;
    let entry = (DIRECTORY..).step_by(ENTRY).find(|at| number(*at) == 1).unwrap();
    number(entry + 8)..number(entry + 8) + number(entry + 16)
}

/// The sorted files, and the files of large values, that a manifest names.
pub fn data_files(manifest: &Value, files: &mut BTreeSet<FileId>) {
    match manifest {
        Value::Object(fields) => {
            let is_data = fields.contains_key("sum_hash")
                || fields.contains_key("hash") && fields.contains_key("values");
            if let (true, Some(file)) = (is_data, fields.get("file").and_then(Value::as_u64)) {
                files.insert(FileId(file));
            }
            fields.values().for_each(|value| data_files(value, files));
        }
        Value::Array(values) => values.iter().for_each(|value| data_files(value, files)),
        _ => {}
    }
}

/// Puts the hash of a companion where the manifest repeats it.
fn state_hash(manifest: &mut Value, file: FileId, hash: Hash128) {
    match manifest {
        Value::Object(fields) => {
            if fields.contains_key("sum_hash") && fields.get("file") == Some(&Value::from(file.0)) {
                fields.insert("sum_hash".into(), hash.to_string().into());
            }
            fields.values_mut().for_each(|value| state_hash(value, file, hash));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| state_hash(value, file, hash)),
        _ => {}
    }
}

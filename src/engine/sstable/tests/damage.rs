//! Damage: an error or the right rows, never other rows, never a panic.

use arrow::array::{Int64Array, StringArray};

use super::*;
use crate::common::{Error, ErrorKind, Result};
use crate::format::block::BLOCK_LEN;

fn sample(rows: i64) -> RecordBatch {
    let texts = (0..rows).map(|i| (i % 5 != 0).then(|| format!("text {i}")));
    batch_of(vec![
        ("k", Arc::new(Int64Array::from_iter_values(0..rows))),
        ("t", Arc::new(StringArray::from_iter(texts))),
    ])
}

fn content(storage: &Arc<dyn Storage>, path: &str) -> Vec<u8> {
    let file = storage.open(path).unwrap();
    file.read(0..file.len()).unwrap().to_vec()
}

fn replace(storage: &Arc<dyn Storage>, path: &str, bytes: &[u8]) {
    storage.remove(path).unwrap();
    storage.create(path).unwrap().append(bytes).unwrap();
}

/// Everything a reader can be asked, or the first error.
fn interrogate(
    storage: &Arc<dyn Storage>,
    info: &SstInfo,
    key: &KeySpec,
) -> Result<(Vec<RecordBatch>, Option<u64>)> {
    let reader = SstReader::open(&**storage, DATABASE, info, Some(key.clone()))?;
    let found = reader.find(&key.codec.encode_row(&[Arc::new(Int64Array::from(vec![3]))], 0)?)?;
    let batches =
        (0..reader.num_batches()).map(|i| reader.read_batch(i, None)).collect::<Result<Vec<_>>>()?;
    Ok((batches, found))
}

#[test]
fn every_flipped_byte_is_found_or_harmless() {
    let storage = memory();
    let batch = sample(40);
    let key = key_spec(&batch, 1);
    let info = write_keyed(&storage, 1, &batch, &key, 16, 40);
    let expected = interrogate(&storage, &info, &key).unwrap();
    let (mut injected, mut found) = (0, 0);
    for path in ["sst/1.arrow", "sst/1.sum"] {
        let good = content(&storage, path);
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            replace(&storage, path, &bad);
            injected += 1;
            match interrogate(&storage, &info, &key) {
                Ok(rows) => assert_eq!(rows, expected, "{path}, byte {at}: other rows"),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Corrupt, "{path}, byte {at}: {error}");
                    assert!(error.to_string().contains("sst/1."), "{error}");
                    found += 1;
                }
            }
            let check =
                SstReader::open(&*storage, DATABASE, &info, Some(key.clone())).and_then(|r| r.verify());
            assert!(check.is_err(), "{path}, byte {at}: the check saw nothing");
        }
        replace(&storage, path, &good);
    }
    println!("sstable flips: injected {injected} found {found} wrong 0 crashed 0");
    assert!(injected > 4_000);
}

#[test]
fn every_truncation_is_found() {
    let storage = memory();
    let batch = sample(40);
    let key = key_spec(&batch, 1);
    let info = write_keyed(&storage, 1, &batch, &key, 16, 40);
    for path in ["sst/1.arrow", "sst/1.sum"] {
        let good = content(&storage, path);
        for len in 0..good.len() {
            replace(&storage, path, &good[..len]);
            assert!(interrogate(&storage, &info, &key).is_err(), "{path} cut to {len}");
        }
        replace(&storage, path, &[good.as_slice(), &[0]].concat());
        assert!(interrogate(&storage, &info, &key).is_err(), "{path} one byte longer");
        replace(&storage, path, &good);
    }
    interrogate(&storage, &info, &key).unwrap();
}

#[test]
fn unmapped_files_are_verified_at_every_read() {
    let dir = tempfile::tempdir().unwrap();
    let storage = local(dir.path(), false);
    let batch = sample(4_000);
    let key = key_spec(&batch, 1);
    let info = write_keyed(&storage, 1, &batch, &key, 1_000, 4_000);
    let reader = open(&storage, &info, Some(&key));
    assert_eq!(reader.read_batch(1, Some(&[1])).unwrap().num_rows(), 1_000);
    let path = dir.path().join("sst/1.arrow");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let results: Vec<Result<RecordBatch>> = (0..4).map(|i| reader.read_batch(i, None)).collect();
    assert!(results.iter().any(|r| matches!(r, Err(Error::Corrupt { .. }))));
    assert!(results[0].is_ok(), "damage elsewhere must not spread");
}

#[test]
fn blocks_that_trade_places_are_found() {
    let storage = memory();
    let batch = batch_of(vec![("k", Arc::new(Int64Array::from_iter_values((0..4_000).map(|i| i / 1_000))))]);
    let info = write_keyless(&storage, 1, &batch, &row_ids(0..4_000), 4_000);
    let good = content(&storage, "sst/1.arrow");
    let mut swapped = good.clone();
    let (one, two) = (BLOCK_LEN..2 * BLOCK_LEN, 4 * BLOCK_LEN..5 * BLOCK_LEN);
    swapped.copy_within(two.clone(), one.start);
    swapped[two].copy_from_slice(&good[one]);
    replace(&storage, "sst/1.arrow", &swapped);
    let error = open(&storage, &info, None).read_batch(0, None).unwrap_err();
    assert!(error.to_string().contains("block 1"), "{error}");
}

#[test]
fn a_file_of_another_database_or_number_is_refused() {
    let storage = memory();
    let batch = sample(40);
    let key = key_spec(&batch, 1);
    let info = write_keyed(&storage, 1, &batch, &key, 16, 40);
    let twin = write_keyed(&storage, 2, &batch, &key, 16, 40);
    let error = SstReader::open(&*storage, DatabaseId(1), &info, Some(key.clone())).unwrap_err();
    assert!(error.to_string().contains("belongs to file 1 of database"), "{error}");
    // The same rows under another number: lengths agree, blocks do not.
    replace(&storage, "sst/1.arrow", &content(&storage, "sst/2.arrow"));
    assert_eq!(interrogate(&storage, &info, &key).unwrap_err().kind(), ErrorKind::Corrupt);
    replace(&storage, "sst/1.sum", &content(&storage, "sst/2.sum"));
    assert!(interrogate(&storage, &info, &key).unwrap_err().to_string().contains("belongs to file 2"));
    interrogate(&storage, &twin, &key).unwrap();
}

#[test]
fn a_narrow_read_does_not_touch_other_columns() {
    let storage = memory();
    let batch = sample(4_000);
    let key = key_spec(&batch, 1);
    let info = write_keyed(&storage, 1, &batch, &key, 4_000, 4_000);
    let reader = open(&storage, &info, Some(&key));
    let mut bytes = content(&storage, "sst/1.arrow");
    // The texts come after the 32,000 bytes of keys.
    bytes[50_000] ^= 1;
    replace(&storage, "sst/1.arrow", &bytes);
    drop(reader);
    let reader = open(&storage, &info, Some(&key));
    assert_eq!(reader.read_batch(0, Some(&[0])).unwrap().column(0), batch.column(0));
    assert!(reader.read_batch(0, Some(&[1])).is_err());
    assert!(reader.read_batch(0, Some(&[0])).is_ok());
}

#[test]
fn another_key_than_the_file_has_is_refused() {
    let storage = memory();
    let batch = sample(10);
    let key = key_spec(&batch, 1);
    let info = write_keyed(&storage, 1, &batch, &key, 16, 40);
    assert!(SstReader::open(&*storage, DATABASE, &info, None).is_err());
    let missing = KeySpec { columns: vec![ColumnId(99)], ..key };
    let error = SstReader::open(&*storage, DATABASE, &info, Some(missing)).unwrap_err();
    assert!(error.to_string().contains("id 99"), "{error}");
}

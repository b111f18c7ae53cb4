//! Bytes whose checksums agree but which no writer made: an error or some rows, never a panic.

use arrow::array::Array;

use super::super::frame::Frame;
use super::types::columns;
use super::*;

/// Parses and decodes every batch of a file after `forge` has changed its metadata and body.
fn decode_forged(reader: &SstReader, bytes: &[u8], forge: impl Fn(&mut [u8], &mut [u8])) -> usize {
    let mut accepted = 0;
    for (i, block) in reader.sum.batches.iter().enumerate() {
        let start = block.offset as usize;
        let body_start = start + block.meta_len as usize;
        let mut meta = bytes[start..body_start].to_vec();
        let mut body = bytes[body_start..body_start + block.body_len as usize].to_vec();
        forge(&mut meta, &mut body);
        let rows = reader.batch_rows(i);
        let frame = Frame::parse(meta.into(), block, rows.end - rows.start, reader.schema());
        let Ok(frame) = frame else { continue };
        for column in 0..reader.schema().fields().len() {
            if let Ok(arrays) = frame.decode(&body.clone().into(), reader.schema(), &[column]) {
                assert_eq!(arrays[0].len() as u64, rows.end - rows.start);
                accepted += 1;
            }
        }
    }
    accepted
}

fn sample() -> (Vec<u8>, SstReader) {
    let storage = memory();
    let batch = batch_of(columns());
    let info = write_keyless(&storage, 1, &batch, &row_ids(0..batch.num_rows() as u64), 64);
    let file = storage.open("sst/1.arrow").unwrap();
    (file.read(0..file.len()).unwrap().to_vec(), open(&storage, &info, None))
}

#[test]
fn forged_metadata_never_panics() {
    let (bytes, reader) = sample();
    let honest = decode_forged(&reader, &bytes, |_, _| {});
    assert_eq!(honest, reader.schema().fields().len());
    let len = reader.sum.batches[0].meta_len as usize;
    for at in 0..len {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            decode_forged(&reader, &bytes, |meta, _| meta[at] = value);
        }
        decode_forged(&reader, &bytes, |meta, _| meta[at..].iter_mut().take(8).for_each(|byte| *byte = 0xff));
    }
}

#[test]
fn forged_bodies_never_panic() {
    let (bytes, reader) = sample();
    let len = reader.sum.batches[0].body_len as usize;
    for at in 0..len {
        decode_forged(&reader, &bytes, |_, body| body[at] ^= 0x80);
        if at % 4 == 0 {
            decode_forged(&reader, &bytes, |_, body| {
                body[at..].iter_mut().take(4).for_each(|byte| *byte = 0xff)
            });
        }
    }
}

//! Bounds against distances, and files of codes against damage.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeListArray, Float32Array};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::datatypes::{DataType, Field};
use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use trilith_udfs::kernels::{Element, Metric, Rotation};

use super::*;
use crate::common::{ColumnId, DatabaseId, ErrorKind, FileId};

const METRICS: [Metric; 3] = [Metric::Cosine, Metric::L2, Metric::InnerProduct];

fn source(rows: usize, dims: usize) -> CodeSource {
    CodeSource {
        database: DatabaseId(7),
        file: FileId(3),
        data_len: 99,
        rows: rows as u64,
        column: ColumnId(1),
        dims,
        padded: Rotation::padded_len(dims),
    }
}

fn column(values: &[f32], dims: usize, nulls: Option<NullBuffer>) -> ArrayRef {
    let item = Arc::new(Field::new_list_field(DataType::Float32, true));
    let values = Arc::new(Float32Array::from(values.to_vec()));
    Arc::new(FixedSizeListArray::new(item, dims as i32, values, nulls))
}

fn coded(values: &[f32], dims: usize) -> VectorCodes {
    let rows = values.len() / dims;
    let split = rows / 3 * dims;
    let batches = [column(&values[..split], dims, None), column(&values[split..], dims, None)];
    VectorCodes::decode("t", &encode(source(rows, dims), &batches).unwrap(), source(rows, dims)).unwrap()
}

/// Lower and upper bounds of the distances of all rows.
fn bounds(codes: &VectorCodes, query: &CodedQuery) -> (Vec<f32>, Vec<f32>) {
    let rows = codes.source().rows as usize;
    let (mut dots, mut lower, mut upper) = (vec![0; rows], vec![0.0; rows], vec![0.0; rows]);
    query.dots(codes, 0..rows, &mut dots);
    query.bounds(codes, 0..rows, &dots, Side::Lower, &mut lower);
    query.bounds(codes, 0..rows, &dots, Side::Upper, &mut upper);
    (lower, upper)
}

/// Every distance is within its bounds, however the vectors look.
fn check(values: &[f32], query: &[f32]) {
    let dims = query.len();
    let codes = coded(values, dims);
    for metric in METRICS {
        let Some(coded) = CodedQuery::new(metric, query) else { continue };
        let (lower, upper) = bounds(&codes, &coded);
        f32::scan(metric, query, values, dims, values.len() / dims, |row, distance| {
            let key = coded.key(distance);
            assert!(
                lower[row].is_nan() || lower[row] <= key,
                "{metric:?} row {row}: lower {} above {key} of {distance}",
                lower[row]
            );
            assert!(
                upper[row].is_nan() || coded.distance(upper[row]) >= distance * (1.0 - 1e-6) - 1e-6,
                "{metric:?} row {row}: upper {}",
                upper[row]
            );
        });
    }
}

fn random(seed: u64, count: usize, scale: f32, offset: f32) -> Vec<f32> {
    let mut rng = SmallRng::seed_from_u64(seed);
    (0..count).map(|_| rng.random_range(-1.0_f32..1.0) * scale + offset).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn bounds_hold(seed: u64, dims in prop::sample::select(vec![64_usize, 65, 100, 384]), scale in -12.0_f32..12.0, offset in -1.0_f32..1.0, query_scale in -3.0_f32..3.0) {
        let scale = 10.0_f32.powf(scale);
        let values = random(seed, 50 * dims, scale, offset * scale);
        let query = random(seed ^ 1, dims, 10.0_f32.powf(query_scale) * scale, 0.0);
        check(&values, &query);
        check(&values, &values[..dims]);
    }
}

#[test]
fn bounds_hold_for_vectors_that_are_nearly_one_and_for_spikes() {
    let dims = 128;
    let mut near = random(1, 60 * dims, 1e-3, 1.0);
    check(&near, &random(2, dims, 1.0, 0.0));
    check(&near.clone(), &near[dims..2 * dims]);
    for (row, vector) in near.chunks_mut(dims).enumerate() {
        vector.fill(0.0);
        vector[row % dims] = 3.0;
    }
    check(&near, &near[..dims]);
}

#[test]
fn bounds_are_narrow() {
    let dims = 384;
    let values = random(3, 200 * dims, 1.0, 0.0);
    let query = CodedQuery::new(Metric::Cosine, &random(4, dims, 1.0, 0.0)).unwrap();
    let (lower, upper) = bounds(&coded(&values, dims), &query);
    let width = lower.iter().zip(&upper).map(|(lower, upper)| upper - lower).fold(0.0, f32::max);
    assert!(width < 0.03, "{width}");
}

#[test]
fn rows_that_nothing_is_known_of_are_never_ruled_out() {
    let dims = 64;
    let mut values = random(5, 6 * dims, 1.0, 0.0);
    values[dims] = f32::NAN;
    values[2 * dims] = f32::INFINITY;
    values[3 * dims..4 * dims].fill(0.0);
    values[4 * dims..5 * dims].fill(1e30);
    let nulls = NullBuffer::from(vec![true, true, true, true, true, false]);
    let bytes = encode(source(6, dims), &[column(&values, dims, Some(nulls))]).unwrap();
    let codes = VectorCodes::decode("t", &bytes, source(6, dims)).unwrap();
    for metric in METRICS {
        let query = CodedQuery::new(metric, &random(6, dims, 1.0, 0.0)).unwrap();
        let (lower, upper) = bounds(&codes, &query);
        let key = query.key(-1e30);
        let kept: Vec<bool> = lower.iter().map(|lower| lower.is_nan() || *lower <= key).collect();
        assert_eq!(kept[1..], [true; 5], "{metric:?}");
        assert!(
            upper[1..].iter().all(|upper| upper.is_nan() || *upper == f32::INFINITY),
            "{metric:?} {upper:?}"
        );
    }
}

#[test]
fn distances_and_queries_without_codes_have_none() {
    for metric in [Metric::L1, Metric::Hamming, Metric::Jaccard] {
        assert!(CodedQuery::new(metric, &[1.0; 64]).is_none());
    }
    for query in [[0.0; 64], [f32::NAN; 64], [f32::INFINITY; 64], [1e30; 64]] {
        assert!(CodedQuery::new(Metric::L2, &query).is_none());
    }
}

#[test]
fn every_flip_every_cut_and_every_other_source_is_found() {
    let dims = 64;
    let good = encode(source(4, dims), &[column(&random(9, 4 * dims, 1.0, 0.0), dims, None)]).unwrap();
    let corrupt = |bytes: &[u8], source| {
        let error = VectorCodes::decode("idx/3.1.codes", &Buffer::from(bytes), source).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    };
    for at in 0..good.len() {
        let mut bad = good.to_vec();
        bad[at] ^= 1 << (at % 8);
        corrupt(&bad, source(4, dims));
        corrupt(&good[..at], source(4, dims));
    }
    let right = source(4, dims);
    corrupt(&good, CodeSource { file: FileId(4), ..right });
    corrupt(&good, CodeSource { database: DatabaseId(8), ..right });
    corrupt(&good, CodeSource { column: ColumnId(2), ..right });
    corrupt(&good, CodeSource { data_len: 98, ..right });
    corrupt(&good, CodeSource { rows: 3, ..right });
    corrupt(&good, CodeSource { rows: u64::MAX, ..right });
}

//! Bounds against distances, and files of codes against damage.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeListArray, Float32Array};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::datatypes::{DataType, Field};
use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use trilith_udfs::kernels::{Element, Metric, Rotation, TopK, dot};

use super::*;
use crate::common::{ColumnId, DatabaseId, ErrorKind, FileId};
use crate::format::table::IndexMetric;

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
        plan: CodePlan::default(),
    }
}

fn column(values: &[f32], dims: usize, nulls: Option<NullBuffer>) -> ArrayRef {
    let item = Arc::new(Field::new_list_field(DataType::Float32, true));
    let values = Arc::new(Float32Array::from(values.to_vec()));
    Arc::new(FixedSizeListArray::new(item, dims as i32, values, nulls))
}

fn coded(values: &[f32], dims: usize) -> VectorCodes {
    planned(values, dims, CodePlan::default())
}

/// The same, made as an index says.
fn planned(values: &[f32], dims: usize, plan: CodePlan) -> VectorCodes {
    let rows = values.len() / dims;
    let source = CodeSource { plan, ..source(rows, dims) };
    let split = rows / 3 * dims;
    let batches = [column(&values[..split], dims, None), column(&values[split..], dims, None)];
    VectorCodes::decode("t", &encode(source, &batches).unwrap(), source).unwrap()
}

/// Lower and upper bounds of the keys of all rows, by their bytes.
fn bounds(codes: &VectorCodes, query: &CodedQuery) -> (Vec<f32>, Vec<f32>) {
    bounds_by_bytes(codes, query, 0..codes.source().rows as usize)
}

fn bounds_by_bytes(codes: &VectorCodes, query: &CodedQuery, rows: Range<usize>) -> (Vec<f32>, Vec<f32>) {
    let beside = query.beside(codes);
    let integers = beside.compare(rows.clone());
    let bound = |side| beside.bounds(rows.clone(), &integers, side);
    (bound(Side::Lower), bound(Side::Upper))
}

/// The same by their signs, which lie list by list.
fn bounds_by_signs(codes: &VectorCodes, query: &CodedQuery) -> (Vec<f32>, Vec<f32>) {
    let rows = codes.source().rows as usize;
    let bound = |side| {
        let mut by_row = vec![0.0; rows];
        let by_position = query.beside(codes).bounds_by_signs(0..rows, side);
        by_position.into_iter().enumerate().for_each(|(at, bound)| by_row[codes.row(at)] = bound);
        by_row
    };
    (bound(Side::Lower), bound(Side::Upper))
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
    for plan in [CodePlan { lists: Some(2), graph: None }, linked(IndexMetric::L2)] {
        let other = CodeSource { rows: 40, plan, ..right };
        let batch = [column(&random(9, 40 * dims, 1.0, 0.0), dims, None)];
        let codes = encode(other, &batch).unwrap();
        VectorCodes::decode("t", &codes, other).unwrap();
        corrupt(&codes, CodeSource { plan: CodePlan::default(), ..other });
        corrupt(&codes, CodeSource { plan: linked(IndexMetric::Cosine), ..other });
    }
}

fn linked(metric: IndexMetric) -> CodePlan {
    CodePlan { lists: None, graph: Some(GraphPlan { degree: 24, candidates: 64, metric }) }
}

/// Of many rows, a share of `recall` is no nearer than its lower bound by signs says, and as many no farther.
#[test]
fn bounds_by_signs_hold_as_often_as_they_say() {
    let (dims, rows) = (384, 4000);
    let values = random(11, rows * dims, 1.0, 0.2);
    let codes = coded(&values, dims);
    for metric in METRICS {
        for recall in [0.9, 0.98, 0.999] {
            let query =
                CodedQuery::new(metric, &random(12, dims, 1.0, 0.0)).unwrap().with_recall(recall, None);
            let (lower, upper) = bounds_by_signs(&codes, &query);
            let (mut nearer, mut farther) = (0, 0);
            f32::scan(metric, &random(12, dims, 1.0, 0.0), &values, dims, rows, |row, distance| {
                let key = query.key(distance);
                nearer += usize::from(lower[row] > key);
                farther += usize::from(upper[row] < key);
            });
            let most = (1.0 - recall) * rows as f64 * 1.5 + 8.0;
            assert!(
                (nearer as f64) < most && (farther as f64) < most,
                "{metric:?} {recall}: {nearer} {farther}"
            );
        }
    }
}

#[test]
fn some_rows_are_bounded_as_all_are() {
    let (dims, rows) = (100, 150);
    let codes = coded(&random(13, rows * dims, 1.0, 0.0), dims);
    let query = CodedQuery::new(Metric::L2, &random(14, dims, 1.0, 0.0)).unwrap().with_recall(0.9, None);
    let (by_bytes, by_signs) =
        (bounds(&codes, &query).0, query.beside(&codes).bounds_by_signs(0..rows, Side::Lower));
    for range in [0..1, 31..33, 40..149, 64..96, 5..150] {
        assert_eq!(bounds_by_bytes(&codes, &query, range.clone()).0, by_bytes[range.clone()], "{range:?}");
        assert_eq!(
            query.beside(&codes).bounds_by_signs(range.clone(), Side::Lower),
            by_signs[range.clone()],
            "{range:?}"
        );
    }
}

/// Vectors around a few directions, every fiftieth without a length.
fn clustered(rows: usize, dims: usize) -> Vec<f32> {
    let directions = random(21, 40 * dims, 1.0, 0.0);
    let mut values = random(22, rows * dims, 0.4, 0.0);
    for (row, vector) in values.chunks_mut(dims).enumerate() {
        let direction = &directions[row * 7 % 40 * dims..][..dims];
        vector.iter_mut().zip(direction).for_each(|(value, direction)| *value += direction);
        if row % 50 == 3 {
            vector.fill(0.0);
        }
    }
    values
}

#[test]
fn every_row_is_in_one_list_and_near_rows_are_in_near_lists() {
    let (dims, rows) = (64, 20_000);
    let values = clustered(rows, dims);
    let codes = coded(&values, dims);
    let query = CodedQuery::new(Metric::Cosine, &values[..dims]).unwrap();
    let lists = query.beside(&codes).lists();
    assert_eq!((lists.len(), lists[0].gap), (141, 0.0));
    assert!(lists.is_sorted_by_key(|near| near.gap));
    let of_lists = lists.iter().flat_map(|near| codes.list(near.list));
    let mut seen: Vec<usize> = of_lists.chain(codes.uncoded()).map(|position| codes.row(position)).collect();
    seen.sort_unstable();
    assert!(seen.into_iter().eq(0..rows));
    assert!(codes.uncoded().all(|position| codes.row(position) % 50 == 3));
    assert_eq!(codes.uncoded().len(), rows / 50);
    let near = lists.iter().find(|near| codes.list(near.list).any(|position| codes.row(position) == 0));
    assert!(near.unwrap().gap < 0.1, "{near:?}");
}

/// Of neighbours by brute force, the share in lists within reach is what was asked for.
#[test]
fn lists_within_reach_hold_the_share_that_is_asked_for() {
    let (dims, rows) = (64, 20_000);
    let mut values = clustered(rows, dims);
    for (row, vector) in values.chunks_mut(dims).enumerate() {
        vector.iter_mut().for_each(|value| *value *= 1.0 + (row % 5) as f32 / 2.0);
    }
    let codes = coded(&values, dims);
    for (metric, k) in [(Metric::Cosine, 10), (Metric::L2, 10), (Metric::InnerProduct, 100)] {
        for missed in [0.2, 0.02] {
            let (mut held, mut all) = (0, 0);
            for of in (1..rows).step_by(601).filter(|row| row % 50 != 3) {
                let noise = random(of as u64, dims, 0.1, 0.0);
                let vector: Vec<f32> = values[of * dims..].iter().zip(&noise).map(|(a, b)| a + b).collect();
                let mut near = TopK::new(k);
                f32::scan(metric, &vector, &values, dims, rows, |row, distance| {
                    near.push(distance, row as u64)
                });
                let query = CodedQuery::new(metric, &vector).unwrap().with_recall(1.0 - missed, None);
                let query = query.beside(&codes);
                let reach = query.reach(k);
                let within = query.lists().into_iter().filter(|near| near.gap <= reach);
                let rows: HashSet<usize> = within
                    .flat_map(|near| codes.list(near.list))
                    .map(|position| codes.row(position))
                    .collect();
                held += near.into_sorted().iter().filter(|near| rows.contains(&(near.id as usize))).count();
                all += k;
            }
            let share = held as f64 / f64::from(all as u32);
            assert!(share >= 1.0 - missed - 0.02, "{metric:?} {missed}: {share}");
        }
    }
    let reach = |recall, rank| {
        let query = CodedQuery::new(Metric::Cosine, &values[..dims]).unwrap().with_recall(recall, None);
        query.beside(&codes).reach(rank)
    };
    assert!(reach(0.8, 10) < reach(0.99, 10));
    assert!(reach(0.9, 10) < reach(0.9, 1000));
    assert_eq!(reach(0.9, 5000), f32::INFINITY);
    assert_eq!(reach(1.0, 1), f32::INFINITY);
}

/// Of neighbours by brute force, a walk that holds as many rows as was measured finds the share that was asked for.
#[test]
fn walks_find_the_share_that_is_asked_for() {
    let (dims, rows) = (64, 8000);
    let mut values = clustered(rows, dims);
    for (row, vector) in values.chunks_mut(dims).enumerate() {
        vector.iter_mut().for_each(|value| *value *= 1.0 + (row % 5) as f32 / 4.0);
    }
    for (plan, metric, other) in
        [(IndexMetric::Cosine, Metric::Cosine, Metric::L2), (IndexMetric::L2, Metric::L2, Metric::Cosine)]
    {
        let codes = planned(&values, dims, linked(plan));
        for (k, missed) in [(10, 0.2), (10, 0.02), (100, 0.05)] {
            let (mut held, mut all) = (0, 0);
            for of in (1..rows).step_by(101).filter(|row| row % 50 != 3) {
                let noise = random(of as u64, dims, 0.1, 0.0);
                let vector: Vec<f32> = values[of * dims..].iter().zip(&noise).map(|(a, b)| a + b).collect();
                let mut near = TopK::new(k);
                f32::scan(metric, &vector, &values, dims, rows, |row, distance| {
                    if row % 50 != 3 {
                        near.push(distance, row as u64);
                    }
                });
                let query = CodedQuery::new(metric, &vector).unwrap().with_recall(1.0 - missed, None);
                let query = query.beside(&codes);
                let beam = query.beam(k).unwrap();
                assert!(beam < 1100, "{metric:?} {k} {missed}: {beam}");
                let found: HashSet<usize> = query.walk(beam).into_iter().collect();
                assert!(found.len() <= beam);
                held += near.into_sorted().iter().filter(|near| found.contains(&(near.id as usize))).count();
                all += k;
            }
            let share = held as f64 / f64::from(all as u32);
            assert!(share >= 1.0 - missed - 0.02, "{metric:?} {k} {missed}: {share}");
        }
        let query = CodedQuery::new(other, &values[..dims]).unwrap().with_recall(0.9, None);
        assert_eq!(query.beside(&codes).beam(10), None, "rows of several lengths are ordered otherwise");
        assert_eq!(query.beside(&coded(&values, dims)).beam(10), None, "without a graph");
    }
}

#[test]
fn all_rows_of_one_length_serve_every_metric_and_no_row_is_left_alone() {
    let dims = 64;
    let mut values = random(31, 3000 * dims, 1.0, 0.0);
    for vector in values.chunks_mut(dims) {
        let norm = dot(vector, vector).sqrt();
        vector.iter_mut().for_each(|value| *value /= norm);
    }
    let codes = planned(&values, dims, linked(IndexMetric::Cosine));
    for metric in METRICS {
        let query = CodedQuery::new(metric, &values[..dims]).unwrap().with_recall(0.9, None);
        let beam = query.beside(&codes).beam(10).unwrap();
        assert!(query.beside(&codes).walk(beam).contains(&0));
    }
    let query = CodedQuery::new(Metric::Cosine, &values[..dims]).unwrap();
    assert_eq!(query.beside(&codes).walk(3000).len(), 3000, "each row can be walked to");
}

/// Components of any type that floats of 32 bits hold exactly make the codes that those floats make.
#[test]
fn vectors_of_other_types_get_the_same_codes() {
    let (dims, rows) = (70, 40);
    let values: Vec<f32> =
        random(51, rows * dims, 60.0, 60.0).iter().map(|value| value.abs().min(120.0).round()).collect();
    let floats = column(&values, dims, None);
    let want = encode(source(rows, dims), &[Arc::clone(&floats)]).unwrap();
    for kind in [DataType::Float16, DataType::Float64, DataType::Int8, DataType::UInt8] {
        let item = Arc::new(Field::new_list_field(kind.clone(), true));
        let other = arrow::compute::cast(&floats, &DataType::FixedSizeList(item, dims as i32)).unwrap();
        assert!(is_coded(other.data_type()).is_some());
        assert_eq!(encode(source(rows, dims), &[other]).unwrap(), want, "{kind}");
    }
}

/// What rounding to 32 bits takes from components of 64 is within the bounds.
#[test]
fn bounds_hold_for_components_of_64_bits() {
    let (dims, rows) = (96, 200);
    let mut rng = SmallRng::seed_from_u64(52);
    let mut draw =
        |count: usize| -> Vec<f64> { (0..count).map(|_| rng.random_range(-1.0..1.0) + 0.1).collect() };
    let (values, query) = (draw(rows * dims), draw(dims));
    let item = Arc::new(Field::new_list_field(DataType::Float64, true));
    let items = Arc::new(arrow::array::Float64Array::from(values.clone()));
    let list: ArrayRef = Arc::new(FixedSizeListArray::new(item, dims as i32, items, None));
    let codes =
        VectorCodes::decode("t", &encode(source(rows, dims), &[list]).unwrap(), source(rows, dims)).unwrap();
    let rounded: Vec<f32> = query.iter().map(|value| *value as f32).collect();
    for metric in METRICS {
        let coded = CodedQuery::new(metric, &rounded).unwrap();
        let (lower, upper) = bounds(&codes, &coded);
        f64::scan(metric, &query, &values, dims, rows, |row, distance| {
            let [low, high] = [lower[row], upper[row]].map(|key| coded.distance(key));
            assert!(low <= distance && distance <= high, "{metric:?} {row}: {low} {distance} {high}");
        });
    }
}

/// Rows that are all alike leave most lists empty; rows without a code are in none.
#[test]
fn graphs_of_rows_alike_and_of_rows_without_codes_are_made() {
    let dims = 64;
    for (rows, each) in [(2000, 1.0), (2000, 0.0), (40, 1.0), (1, 1.0)] {
        let codes = planned(&vec![each; rows * dims], dims, linked(IndexMetric::Cosine));
        let query = CodedQuery::new(Metric::Cosine, &vec![1.0; dims]).unwrap();
        let found = query.beside(&codes).walk(10).len();
        assert_eq!(found, if each > 0.0 { rows.min(10) } else { 0 }, "{rows} of {each}");
    }
}

//! Every instruction set against the definition in `f64`, and against simsimd.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::dispatch::available;
use super::element::{Rows, scan_lanes};
use super::lanes::LaneElement;
use super::*;
use half::f16;
use proptest::prelude::*;
use rand::distr::{Distribution, StandardUniform};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use simsimd::{BinarySimilarity, SpatialSimilarity};

const NUMERIC: [Metric; 4] = [Metric::Cosine, Metric::L2, Metric::InnerProduct, Metric::L1];

fn definition<A: Element, B: Element>(metric: Metric, a: &[A], b: &[B]) -> f64 {
    reference::distance(metric, a.iter().zip(b).map(|(a, b)| (a.to_f64(), b.to_f64())))
}

fn assert_close(got: f64, want: f64, scale: f64, what: &dyn std::fmt::Debug) {
    let tolerance = 1e-5 * (1.0 + scale.abs() + want.abs());
    assert!((got - want).abs() <= tolerance, "{what:?}: got {got}, want {want}");
}

fn random(rng: &mut SmallRng, length: usize) -> Vec<f32> {
    (0..length).map(|_| rng.random_range(-2.0..2.0)).collect()
}

fn numbers<T>(rng: &mut SmallRng, length: usize) -> Vec<T>
where
    StandardUniform: Distribution<T>,
{
    (0..length).map(|_| rng.random()).collect()
}

/// Seven rows for every dimension around the lane and round lengths.
fn check_lanes<T: LaneElement + Element<Query = f32>>(convert: impl Fn(f32) -> T) {
    let mut rng = SmallRng::seed_from_u64(7);
    for dim in (0..70).chain([96, 127, 128, 255, 383, 384, 768, 1001]) {
        let query = random(&mut rng, dim);
        let rows: Vec<T> = random(&mut rng, dim * 7).into_iter().map(&convert).collect();
        for set in available() {
            for metric in Metric::ALL {
                let mut seen = Vec::new();
                scan_lanes(set, metric, &query, Rows::new(&rows, dim, 7), |index, got| {
                    let want = definition(metric, &query, &rows[index * dim..(index + 1) * dim]);
                    assert_close(got, want, dim as f64, &(set, metric, dim, index));
                    seen.push(index);
                });
                assert_eq!(seen, (0..7).collect::<Vec<_>>(), "{set:?} {metric} {dim}");
            }
        }
    }
}

#[test]
fn every_instruction_set_agrees_with_the_definition_f32() {
    check_lanes(|value| value);
}

#[test]
fn every_instruction_set_agrees_with_the_definition_f16() {
    check_lanes(f16::from_f32);
}

#[test]
fn unaligned_slices_are_read_whole() {
    let mut rng = SmallRng::seed_from_u64(8);
    let (a, b) = (random(&mut rng, 64), random(&mut rng, 64));
    for start in 0..9 {
        for end in 40..64 {
            let (a, b) = (&a[start..end], &b[start..end]);
            assert_close(dot(a, b).into(), -definition(Metric::InnerProduct, a, b), 64.0, &(start, end));
            assert_close(l1(a, b).into(), definition(Metric::L1, a, b), 64.0, &(start, end));
            let l2 = f64::from(l2_squared(a, b)).sqrt();
            assert_close(l2, definition(Metric::L2, a, b), 64.0, &(start, end));
        }
    }
}

#[test]
fn wide_elements_agree_with_the_definition() {
    let mut rng = SmallRng::seed_from_u64(9);
    for dim in (0..70).chain([1000, 40_000]) {
        let (a, b) = (numbers::<i8>(&mut rng, dim), numbers::<i8>(&mut rng, dim));
        let (c, d) = (numbers::<u8>(&mut rng, dim), numbers::<u8>(&mut rng, dim));
        let (e, f) = (numbers::<f64>(&mut rng, dim), numbers::<f64>(&mut rng, dim));
        for metric in NUMERIC {
            assert_close(distance::<i8>(metric, &a, &b), definition(metric, &a, &b), 0.0, &(metric, dim));
            assert_close(distance::<u8>(metric, &c, &d), definition(metric, &c, &d), 0.0, &(metric, dim));
            assert_close(distance::<f64>(metric, &e, &f), definition(metric, &e, &f), 0.0, &(metric, dim));
        }
        assert_eq!(distance::<i8>(Metric::Hamming, &a, &b), definition(Metric::Hamming, &a, &b));
    }
}

#[test]
fn extreme_integers_do_not_overflow() {
    let (low, high) = (vec![-128i8; 100_000], vec![127i8; 100_000]);
    assert_eq!(distance::<i8>(Metric::InnerProduct, &low, &low), -16384.0 * 100_000.0);
    assert_eq!(distance::<i8>(Metric::L2, &low, &high), (65025.0f64 * 100_000.0).sqrt());
    let bytes = vec![255u8; 100_000];
    assert_eq!(distance::<u8>(Metric::InnerProduct, &bytes, &bytes), -65025.0 * 100_000.0);
}

#[test]
fn simsimd_agrees() {
    let mut rng = SmallRng::seed_from_u64(10);
    for dim in (1..70).chain([384, 768]) {
        let (a, b) = (random(&mut rng, dim), random(&mut rng, dim));
        let scale = dim as f64;
        assert_close(
            distance::<f32>(Metric::Cosine, &a, &b),
            <f32 as SpatialSimilarity>::cos(&a, &b).unwrap(),
            100.0,
            &dim,
        );
        assert_close(l2_squared(&a, &b).into(), f32::l2sq(&a, &b).unwrap(), scale, &dim);
        assert_close(dot(&a, &b).into(), <f32 as SpatialSimilarity>::dot(&a, &b).unwrap(), scale, &dim);
        let (c, d) = (numbers::<i8>(&mut rng, dim), numbers::<i8>(&mut rng, dim));
        let l2 = distance::<i8>(Metric::L2, &c, &d);
        assert_close(l2 * l2, i8::l2sq(&c, &d).unwrap(), 0.0, &dim);
        let (e, f) = (numbers::<u8>(&mut rng, dim), numbers::<u8>(&mut rng, dim));
        assert_eq!(hamming(&e, &f) as f64, <u8 as BinarySimilarity>::hamming(&e, &f).unwrap());
        assert_close(jaccard(&e, &f), <u8 as BinarySimilarity>::jaccard(&e, &f).unwrap(), 0.0, &dim);
    }
}

#[test]
fn packed_bits_count_every_bit() {
    let mut rng = SmallRng::seed_from_u64(11);
    for dim in 0..70 {
        let (a, b) = (numbers::<u8>(&mut rng, dim), numbers::<u8>(&mut rng, dim));
        let bit = |bytes: &[u8], i: usize| f64::from(bytes[i / 8] >> (i % 8) & 1);
        let pairs = (0..dim * 8).map(|i| (bit(&a, i), bit(&b, i)));
        assert_eq!(hamming(&a, &b) as f64, reference::distance(Metric::Hamming, pairs.clone()));
        assert_close(jaccard(&a, &b), reference::distance(Metric::Jaccard, pairs), 0.0, &dim);
    }
}

#[test]
fn a_zero_vector_is_at_cosine_distance_one() {
    for dim in [1, 8, 33] {
        let (zero, one) = (vec![0.0f32; dim], vec![1.0f32; dim]);
        assert_eq!(distance::<f32>(Metric::Cosine, &zero, &one), 1.0);
        assert_eq!(distance::<f32>(Metric::Cosine, &one, &zero), 1.0);
        assert_eq!(distance::<f32>(Metric::Cosine, &zero, &zero), 1.0);
        assert_eq!(distance::<i8>(Metric::Cosine, &vec![0; dim], &vec![1; dim]), 1.0);
    }
}

#[test]
fn sums_beyond_f32_are_taken_in_f64() {
    let (huge, tiny) = (vec![1e30f32; 9], vec![1e-30f32; 9]);
    assert_close(distance::<f32>(Metric::Cosine, &huge, &huge), 0.0, 0.0, &"huge");
    assert_close(distance::<f32>(Metric::Cosine, &tiny, &tiny), 0.0, 0.0, &"tiny");
    let far = distance::<f32>(Metric::L2, &huge, &tiny);
    assert!((far / 3e30 - 1.0).abs() < 1e-6, "{far}");
    assert!(distance::<f32>(Metric::L2, &[f32::NAN], &[1.0]).is_nan());
}

#[test]
fn rows_that_are_not_there_are_not_read() {
    let mut out = [-1.0; 4];
    one_to_many(Metric::L1, &[1.0, 1.0], &[1.0, 2.0, 3.0, 4.0, 5.0], 2, &mut out);
    assert_eq!(out, [1.0, 5.0, -1.0, -1.0]);
    one_to_many(Metric::L2, &[], &[], 0, &mut out);
    assert_eq!(out, [0.0; 4]);
}

#[test]
fn names_round_trip() {
    for metric in Metric::ALL {
        assert_eq!(metric.name().parse::<Metric>().unwrap(), metric);
    }
    assert_eq!("IP".parse::<Metric>().unwrap(), Metric::InnerProduct);
    assert!("chebyshev".parse::<Metric>().unwrap_err().to_string().contains("'chebyshev'"));
}

#[test]
fn a_normalized_vector_has_length_one() {
    let unit: Vec<f64> = normalize(&[3.0f32, 4.0]).collect();
    assert_eq!(unit, [0.6000000000000001, 0.8]);
    assert_eq!(normalize(&[0.0f32, 0.0]).collect::<Vec<_>>(), [0.0, 0.0]);
}

proptest! {
    #[test]
    fn top_k_is_the_head_of_the_sorted_input(
        distances in prop::collection::vec(prop_oneof![Just(f64::NAN), Just(0.0), Just(-0.0), -3.0..3.0f64, Just(1.0)], 0..200),
        k in 0usize..20,
        split in 0usize..200,
    ) {
        let mut want: Vec<Neighbor> = distances
            .iter()
            .enumerate()
            .filter(|(_, distance)| !distance.is_nan())
            .map(|(id, distance)| Neighbor { distance: distance + 0.0, id: id as u64 })
            .collect();
        want.sort();
        want.truncate(k);
        let (mut forward, mut halves) = (TopK::new(k), [TopK::new(k), TopK::new(k)]);
        for (id, distance) in distances.iter().enumerate() {
            forward.push(*distance, id as u64);
            halves[usize::from(id < split)].push(*distance, id as u64);
        }
        let mut backward = TopK::new(k);
        for (id, distance) in distances.iter().enumerate().rev() {
            backward.push(*distance, id as u64);
        }
        let [mut left, right] = halves;
        left.merge(right);
        prop_assert_eq!(&forward.into_sorted(), &want);
        prop_assert_eq!(&backward.into_sorted(), &want);
        prop_assert_eq!(&left.into_sorted(), &want);
    }

    #[test]
    fn one_to_many_is_the_definition(
        dim in 1usize..40,
        seed in any::<u64>(),
        count in 0usize..12,
    ) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let (query, rows) = (random(&mut rng, dim), random(&mut rng, dim * count));
        for metric in Metric::ALL {
            let mut out = vec![f32::NAN; count];
            one_to_many(metric, &query, &rows, dim, &mut out);
            for (got, row) in out.iter().zip(rows.chunks(dim)) {
                assert_close(f64::from(*got), definition(metric, &query, row), dim as f64, &(metric, dim));
            }
        }
    }
}

//! No acknowledged commit is lost, whatever a crash leaves; what is appended is replayed.

use proptest::prelude::*;

use super::{DB, HELD, Records, ReplayBound, append, create, read, read_chain, records, recover};
use crate::common::{Epoch, FileId, SeqNo};
use crate::testing::{CrashPolicy, SimStorage};

/// Writes, syncs, loses power anywhere, recovers, loses power in recovery too: every acknowledged commit is
/// there, and what is there is a prefix of what was written.
#[test]
fn no_acknowledged_commit_is_lost() {
    let storage = SimStorage::new();
    storage.record_history();
    let mut writer = create(&storage, 1, None);
    let (mut seq, mut acknowledged) = (0, vec![(storage.calls(), 0)]);
    for group in 1..=6_u64 {
        append(&mut writer, seq + 1..=seq + group);
        seq += group;
        if group % 2 == 0 {
            writer.flush().unwrap();
        } else {
            writer.sync().unwrap();
            acknowledged.push((storage.calls(), seq));
        }
    }
    let created = acknowledged[0].0;
    for call in created..=storage.calls() {
        let promised = acknowledged.iter().rev().find(|(at, _)| *at <= call).unwrap().1;
        for seed in 0..40 {
            let image = storage.crash_image_at(call, seed, CrashPolicy::RANDOM);
            check_recovery(&image, promised, seq);
            let again = (FileId(2), Epoch(2), HELD);
            image.stop_at(seed % 12 + 1, seed % 2 == 0);
            let _ = recover(&image, &[FileId(1)], DB, ReplayBound::Open, again, &mut |_, _| Ok(()));
            check_recovery(&image.crash_image(seed, CrashPolicy::RANDOM), promised, seq);
        }
    }
}

fn check_recovery(image: &SimStorage, promised: u64, written: u64) {
    let files: Vec<u64> =
        [1, 2].into_iter().filter(|file| image.contents(&format!("wal/{file}.wal")).is_some()).collect();
    let found = read_chain(image, &files).unwrap();
    let last = found.last().map_or(0, |(seq, _)| *seq);
    assert_eq!(found, records(1..=last));
    assert!(promised <= last && last <= written);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_appended_is_replayed(
        groups in prop::collection::vec(
            (prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..4), 0..6), 0..3_u8),
            0..8,
        ),
    ) {
        let storage = SimStorage::new();
        let mut writer = create(&storage, 7, None);
        let mut expected = Records::new();
        for (payloads, then) in &groups {
            for parts in payloads {
                let seq = expected.len() as u64 + 1;
                let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
                writer.append(SeqNo(seq), &parts).unwrap();
                expected.push((seq, parts.concat()));
            }
            match then {
                0 => {}
                1 => writer.flush().unwrap(),
                _ => writer.sync().unwrap(),
            }
        }
        writer.flush().unwrap();
        let (found, tail) = read(&storage, 7, ReplayBound::Open).unwrap();
        prop_assert_eq!(&found, &expected);
        prop_assert_eq!(tail.end, writer.end());
        prop_assert!(tail.proven.len <= writer.synced_end().len);
        prop_assert_eq!(read(&storage, 7, ReplayBound::Exact(writer.end())).unwrap().0, expected);
    }
}

//! Reads in key order and of many keys, against a map.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use proptest::prelude::*;

use super::support::{key, keyed, keys, rows, small};
use crate::testing::{CallKind, Fault, FaultError, SimStorage};
use crate::{Engine, KeyRange, Options, Result, TableName, TableView, WriteBatch, WriteMode};

#[derive(Clone, Debug)]
enum Step {
    Upsert(Vec<i64>),
    Delete(Vec<i64>),
    Append(Vec<i64>),
    Flush,
    Compact,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ids = || prop::collection::vec(0i64..60, 1..30);
    let step = prop_oneof![
        6 => ids().prop_map(Step::Upsert),
        2 => ids().prop_map(Step::Delete),
        1 => ids().prop_map(Step::Append),
        2 => Just(Step::Flush),
        1 => Just(Step::Compact),
    ];
    prop::collection::vec(step, 1..24)
}

type Model = BTreeMap<i64, String>;

/// Plays a step on both; `turn` makes its values different from all others.
fn play(engine: &Arc<Engine>, model: &mut Model, step: &Step, turn: usize) {
    let table = keyed(engine, "t");
    let text = format!("{turn}{}", "x".repeat(40));
    let pairs = |ids: &[i64]| rows(&ids.iter().map(|id| (*id, text.as_str())).collect::<Vec<_>>());
    let mut batch = WriteBatch::new();
    match step {
        Step::Upsert(ids) => batch.upsert(&table, &pairs(ids)).unwrap(),
        Step::Delete(ids) => batch.delete_keys(&table, &keys(ids)).unwrap(),
        Step::Append(ids) => {
            let mut appender = engine.appender(&TableName::public("t"), WriteMode::Upsert).unwrap();
            // Enough of one key to pass the log by.
            (0..20).for_each(|_| appender.write(&pairs(&ids.repeat(4))).unwrap());
            appender.finish().unwrap();
        }
        Step::Flush => engine.flush().unwrap(),
        Step::Compact => engine.compact().unwrap(),
    }
    engine.commit(batch).unwrap();
    match step {
        Step::Upsert(ids) | Step::Append(ids) => model.extend(ids.iter().map(|id| (*id, text.clone()))),
        Step::Delete(ids) => model.retain(|id, _| !ids.contains(id)),
        Step::Flush | Step::Compact => {}
    }
}

fn encoded(view: &TableView, id: i64) -> Vec<u8> {
    view.codec().unwrap().encode_row(&key(id), 0).unwrap()
}

fn pairs_of(batch: &RecordBatch) -> Vec<(i64, String)> {
    let (ids, texts) = (batch.column(0).as_primitive::<Int64Type>(), batch.column(1).as_string::<i32>());
    (0..batch.num_rows()).map(|row| (ids.value(row), texts.value(row).to_owned())).collect()
}

fn between(lower: Bound<&Vec<u8>>, upper: Bound<&Vec<u8>>) -> KeyRange {
    KeyRange { lower: lower.cloned(), upper: upper.cloned() }
}

fn read(view: &TableView, range: KeyRange, reverse: bool, limit: Option<usize>) -> Vec<(i64, String)> {
    let scan = view.range(&range, reverse, limit, None).unwrap();
    let batches = scan.collect::<Result<Vec<_>>>().unwrap();
    batches.iter().flat_map(pairs_of).collect()
}

fn check(view: &TableView, model: &Model) {
    let all: Vec<(i64, String)> = model.clone().into_iter().collect();
    assert_eq!(read(view, KeyRange::ALL, false, None), all);
    assert_eq!(read(view, KeyRange::ALL, true, None), all.iter().rev().cloned().collect::<Vec<_>>());
    for (low, high) in [(0, 60), (10, 20), (20, 10), (30, 30), (5, 6)] {
        let (start, end) = (encoded(view, low), encoded(view, high));
        let range = between(Bound::Excluded(&start), Bound::Included(&end));
        let expected: Vec<(i64, String)> =
            all.iter().filter(|(id, _)| *id > low && *id <= high).cloned().collect();
        assert_eq!(read(view, range.clone(), false, None), expected, "{low} to {high}");
        let backwards: Vec<(i64, String)> = expected.iter().rev().take(3).cloned().collect();
        assert_eq!(read(view, range, true, Some(3)), backwards, "{low} to {high} backwards");
    }
    let asked: Vec<i64> = (0..70).rev().chain([7, 7]).collect();
    let ids: ArrayRef = Arc::new(Int64Array::from(asked.clone()));
    let (found, places) = view.get_many(&[ids], None).unwrap();
    let found = pairs_of(&found);
    for (id, place) in asked.iter().zip(places) {
        let got = place.map(|place| found[place].clone());
        assert_eq!(got, model.get(id).map(|text| (*id, text.clone())));
        let row = view.get_row(&encoded(view, *id), None).unwrap();
        assert_eq!(row.map(|row| pairs_of(&row.to_batch().unwrap()).remove(0)), got);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn ranges_and_many_keys_are_those_of_a_map(steps in steps(), kept in 0usize..24) {
        let engine = Engine::in_memory(small()).unwrap();
        keyed(&engine, "t");
        let view = || engine.snapshot().unwrap().table(&TableName::public("t")).unwrap();
        let mut model = Model::new();
        let mut earlier = None;
        for (turn, step) in steps.iter().enumerate() {
            play(&engine, &mut model, step, turn);
            if turn == kept {
                earlier = Some((view(), model.clone()));
            }
        }
        check(&view(), &model);
        if let Some((view, model)) = earlier {
            check(&view, &model);
        }
    }
}

#[test]
fn inverted_range_is_empty() {
    let engine = Engine::in_memory(small()).unwrap();
    let mut model = Model::new();
    for step in [Step::Upsert((0..60).collect()), Step::Flush, Step::Upsert((0..30).collect())] {
        play(&engine, &mut model, &step, 1);
    }
    let view = engine.snapshot().unwrap().table(&TableName::public("t")).unwrap();
    let (low, high) = (encoded(&view, 10), encoded(&view, 20));
    for reverse in [false, true] {
        let inverted = between(Bound::Included(&high), Bound::Excluded(&low));
        assert_eq!(read(&view, inverted, reverse, None), []);
        let nothing = between(Bound::Included(&low), Bound::Excluded(&low));
        assert_eq!(read(&view, nothing, reverse, None), []);
        assert_eq!(read(&view, KeyRange::ALL, reverse, Some(0)), []);
    }
}

#[test]
fn iterator_stays_failed() {
    let storage = SimStorage::new();
    storage.set_mapped(false);
    let engine = Engine::open(Arc::new(storage.clone()), Options { batch_rows: 100, ..small() }).unwrap();
    let table = keyed(&engine, "t");
    let mut batch = WriteBatch::new();
    let many: Vec<(i64, &str)> = (0..1000).map(|id| (id, "a")).collect();
    batch.upsert(&table, &rows(&many)).unwrap();
    engine.commit(batch).unwrap();
    engine.flush().unwrap();
    let view = engine.snapshot().unwrap().table(&TableName::public("t")).unwrap();
    let mut scan = view.range(&KeyRange::ALL, false, None, None).unwrap();
    assert!(scan.next().unwrap().unwrap().num_rows() > 0);
    storage.inject(Fault::once(Some(CallKind::Read), 1, FaultError::EIO));
    assert!(scan.by_ref().any(|batch| batch.is_err()), "the fault never struck");
    storage.heal();
    assert!(scan.next().is_none() && scan.next().is_none());
}

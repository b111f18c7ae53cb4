//! A small closed database with every kind of file in it, and the judgement over a damaged copy.
//!
//! Reading it must give the same rows or an error that names the damaged file, and damage in the file of one table
//! must not disturb another.

use std::sync::Arc;

use trilith_engine::testing::SimStorage;
use trilith_engine::{Durability, Engine, Options, Snapshot, TableName};

use crate::alphabet::{commit, create};
use crate::arrow_rows::{arrays, read_state, read_table, rows};
use crate::model::{Change, Row, State, Value};
use crate::op::{self, Op};
use crate::report::Verdict;

/// A closed database.
#[derive(Debug)]
pub struct Specimen {
    /// The disk it lies on.
    pub disk: SimStorage,
    /// What it holds.
    pub state: State,
    /// Its files.
    pub files: Vec<(String, Vec<u8>)>,
    /// How it came to be: each step, and the newest commit after it.
    pub steps: Vec<(Op, u64)>,
}

/// How a specimen is opened.
pub fn options() -> Options {
    Options { encryption_key: crate::encrypted::key(), ..plain_options() }
}

/// How one is opened that is never encrypted.
pub fn plain_options() -> Options {
    Options {
        background: false,
        direct_append_bytes: 1,
        batch_rows: 16,
        file_bytes: 8 << 10,
        blob_bytes: 1,
        ..Options::default()
    }
}

/// Files, deletion bitmaps and three logs, the last of them sealed by a clean close.
pub fn specimen() -> Specimen {
    specimen_of(&options())
}

/// One that is opened so.
pub fn specimen_of(options: &Options) -> Specimen {
    let mut disk = SimStorage::new();
    let mut state = State::new();
    let mut steps = Vec::new();
    let bulk = |table: &str, ids: std::ops::Range<i64>| {
        // Of three lengths, the longest large.
        let text = |id: i64| format!("text {id}{}", " and more".repeat((id % 16 / 5) as usize * 5));
        let rows = ids.map(|id| vec![Value::Int(id), Value::Text(text(id).into())]).collect();
        Op::Bulk { table: table.into(), mode: trilith_engine::WriteMode::Insert, rows, piece: 64 }
    };
    let delete = Change::Delete(vec![vec![Value::Int(7)], vec![Value::Int(11)]]);
    let lives: [Vec<Op>; 3] = [
        vec![
            create("k", 1),
            create("l", 0),
            create("m", 1),
            bulk("k", 0..40),
            bulk("l", 100..130),
            bulk("m", 0..20),
            commit(1, Durability::Group),
            Op::Flush,
        ],
        vec![
            Op::Batch(vec![("k".into(), delete)], Durability::Group),
            Op::Flush,
            commit(2, Durability::Group),
            commit(5, Durability::Group),
            commit(6, Durability::Strict),
        ],
        vec![commit(3, Durability::Group), commit(4, Durability::Group)],
    ];
    for (life, ops) in lives.iter().enumerate() {
        let engine = Engine::open(Arc::new(disk.clone()), options.clone()).unwrap();
        for step in ops {
            op::run(&engine, step, &state).unwrap();
            op::apply(&mut state, step);
            steps.push((step.clone(), engine.snapshot().unwrap().seq().0));
        }
        if life + 1 == lives.len() {
            engine.close().unwrap();
        } else {
            disk = disk.kill_image();
        }
    }
    for path in disk.paths().iter().filter(|path| path.ends_with(".wal")) {
        disk.plant(path, little_room(&disk.contents(path).unwrap()));
    }
    let files: Vec<(String, Vec<u8>)> =
        disk.paths().into_iter().filter_map(|path| Some((path.clone(), disk.contents(&path)?))).collect();
    for kind in ["CURRENT", ".mf", ".wal", ".arrow", ".sum", ".del", ".blob"] {
        assert!(files.iter().any(|(path, _)| path.ends_with(kind)), "no {kind} among {:?}", disk.paths());
    }
    Specimen { disk, state, files, steps }
}

/// Reserved room is alike everywhere: a little of it is enough to damage.
fn little_room(log: &[u8]) -> &[u8] {
    let used = log.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    &log[..log.len().min(used.next_multiple_of(8) + 256)]
}

impl Specimen {
    /// Judges the database on `disk`, of which the file `damaged` is not as it was.
    pub fn judge(&self, disk: SimStorage, damaged: &[&str], read_only: bool) -> (bool, Verdict) {
        let engine = match Engine::open(Arc::new(disk), Options { read_only, ..options() }) {
            Ok(engine) => engine,
            Err(error) => return (true, named(&error.to_string(), damaged)),
        };
        let snapshot = match engine.snapshot() {
            Ok(snapshot) => snapshot,
            Err(error) => return (true, Verdict::Wrong(error.to_string())),
        };
        self.compare(&snapshot, damaged)
    }

    /// Compares table by table; true with a verdict when damage was noticed.
    pub fn compare(&self, snapshot: &Snapshot, damaged: &[&str]) -> (bool, Verdict) {
        if snapshot.tables().len() != self.state.len() {
            return (false, Verdict::Wrong(format!("{damaged:?}: {} tables", snapshot.tables().len())));
        }
        let mut noticed = false;
        for (name, expected) in &self.state {
            let read = snapshot.table(&TableName::public(name)).and_then(|view| read_table(&view));
            match read {
                Ok(found) if found == **expected => {}
                Ok(_) => {
                    return (
                        false,
                        Verdict::Wrong(format!("{damaged:?}: wrong rows in {name}, and no error")),
                    );
                }
                Err(error) => match named(&error.to_string(), damaged) {
                    Verdict::Survived => noticed = true,
                    verdict => return (true, verdict),
                },
            }
            if let Err(text) = self.get(snapshot, name, damaged) {
                return (noticed, Verdict::Wrong(text));
            }
        }
        (noticed, Verdict::Survived)
    }

    /// Point reads of a few keys, there and not there.
    fn get(&self, snapshot: &Snapshot, name: &str, damaged: &[&str]) -> Result<(), String> {
        let table = &self.state[name];
        let Ok(view) = snapshot.table(&TableName::public(name)) else { return Ok(()) };
        for id in [7, 23] {
            let key: Row = vec![Value::Int(id)];
            if table.key == 0 {
                continue;
            }
            match view.get(&arrays(&table.columns[..1], std::slice::from_ref(&key)), None) {
                Ok(found) => {
                    let found = found.map(|batch| rows(&batch).remove(0));
                    if found.as_ref() != table.rows.get(&key).map(|row| &**row) {
                        return Err(format!("{damaged:?}: key {id} of {name} gives {found:?}"));
                    }
                }
                Err(error) => {
                    if let Verdict::Wrong(text) = named(&error.to_string(), damaged) {
                        return Err(text);
                    }
                }
            }
        }
        Ok(())
    }
}

/// An error must name the damaged file, or the one it belongs to.
pub fn named(message: &str, damaged: &[&str]) -> Verdict {
    let stem =
        |path: &str| path.rsplit_once('.').map_or_else(|| path.to_owned(), |(stem, _)| format!("{stem}."));
    if damaged.iter().any(|path| message.contains(&stem(path))) {
        return Verdict::Survived;
    }
    Verdict::Wrong(format!("{damaged:?} is damaged, and the error is: {message}"))
}

/// A specimen still holds what it did.
pub fn sound(specimen: &Specimen) -> bool {
    let engine = Engine::open(Arc::new(specimen.disk.kill_image()), options()).unwrap();
    read_state(&engine.snapshot().unwrap()).unwrap() == specimen.state
}

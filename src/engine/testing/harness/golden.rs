//! Databases of every format that was released, kept as files: what this build must still open.
//!
//! `testing/golden/{name}` holds the files of one, under `files`, and in `rows.txt` what is in it. `-- --golden FOLDER`
//! makes such a folder of this build's format; with `--encrypted`, of an encrypted database.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use trilith_engine::testing::SimStorage;
use trilith_engine::{Engine, Options};

use crate::arrow_rows::read_state;
use crate::encrypted;
use crate::model::State;
use crate::report::{Report, Verdict};
use crate::specimen::{plain_options, specimen};

/// Where they lie: in the clone that runs, which need not be the one that compiled.
fn folder() -> PathBuf {
    let package = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package).join("testing/golden")
}

/// Tables and rows as text.
fn text(state: &State) -> String {
    let mut lines = Vec::new();
    for (name, table) in state {
        let columns: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        lines.push(format!(
            "table {name}: {} of {} columns in its key: {columns:?}",
            table.key,
            columns.len()
        ));
        lines.extend(table.rows.values().map(|row| format!("{name}: {row:?}")));
    }
    lines.join("\n") + "\n"
}

/// Makes one of this build's format.
pub fn make(folder: &Path) {
    let specimen = specimen();
    for (path, bytes) in specimen.files.iter().filter(|(path, _)| path != "LOCK") {
        let target = folder.join("files").join(path);
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::write(target, bytes).unwrap();
    }
    std::fs::write(folder.join("rows.txt"), text(&specimen.state)).unwrap();
}

/// Opens them all, for reading and for writing.
pub fn open_all(report: &mut Report) {
    for entry in std::fs::read_dir(folder()).unwrap() {
        let golden = entry.unwrap().path();
        let disk = SimStorage::new();
        plant(&disk, &golden.join("files"), "");
        let expected = std::fs::read_to_string(golden.join("rows.txt")).unwrap();
        for read_only in [true, false] {
            let verdict = open(&disk, &expected, read_only);
            report.count(verdict.at(&format!("{}, read_only {read_only}", golden.display())));
            report.add("golden", 1);
        }
    }
}

fn plant(disk: &SimStorage, folder: &Path, below: &str) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{below}{}", entry.file_name().to_string_lossy());
        if entry.file_type().unwrap().is_dir() {
            plant(disk, &entry.path(), &format!("{path}/"));
        } else {
            disk.plant(&path, &std::fs::read(entry.path()).unwrap());
        }
    }
}

/// The same rows as when it was made; and again after this build has written to it.
fn open(disk: &SimStorage, expected: &str, read_only: bool) -> Verdict {
    let read = || -> trilith_engine::Result<State> {
        let encryption_key = disk.contents("KEYS").map(|_| encrypted::the_key());
        let options = Options { read_only, encryption_key, ..plain_options() };
        let engine = Engine::open(Arc::new(disk.clone()), options)?;
        let state = read_state(&engine.snapshot()?)?;
        if !read_only {
            engine.compact()?;
            engine.close()?;
        }
        Ok(state)
    };
    for _ in 0..2 {
        match read() {
            Ok(state) if text(&state) == expected => {}
            Ok(_) => return Verdict::Lost("its rows are not those it was made with".into()),
            Err(error) => return Verdict::Wrong(error.to_string()),
        }
    }
    Verdict::Survived
}

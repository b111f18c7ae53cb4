//! The half of H7 that cuts and removes files under an open database, on a real folder. It says on standard output
//! what it is about to do, so that whoever started it knows what ended it.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use trilith_engine::{Engine, Options, TableName};

use crate::report::{Budget, Verdict};
use crate::specimen::{Specimen, named, options, specimen};

/// Runs until the time is spent; prints `ok` for each case and `wrong ...` for the first that fails.
pub fn main(seed: u64, secs: f64) {
    let specimen = specimen();
    let budget = Budget::new(seed, secs);
    let mut dice = SmallRng::seed_from_u64(seed);
    while budget.goes_on(0) {
        match case(&specimen, &mut dice) {
            Verdict::Survived => println!("ok"),
            verdict => {
                println!("wrong {verdict:?}");
                return;
            }
        }
    }
}

/// A folder that is as fast as memory, where there is one.
pub fn scratch() -> tempfile::TempDir {
    let shared = Path::new("/dev/shm");
    if shared.is_dir() { tempfile::tempdir_in(shared).unwrap() } else { tempfile::tempdir().unwrap() }
}

fn case(specimen: &Specimen, dice: &mut SmallRng) -> Verdict {
    let folder = scratch();
    for dir in ["wal", "sst", "del", "blob", "manifest"] {
        std::fs::create_dir(folder.path().join(dir)).unwrap();
    }
    for (path, bytes) in &specimen.files {
        std::fs::write(folder.path().join(path), bytes).unwrap();
    }
    let options = Options { mmap: dice.random(), read_only: dice.random(), ..options() };
    let engine = Engine::open_path(folder.path(), options).unwrap();
    let before = engine.snapshot().unwrap();
    let warm = dice.random_range(0..3);
    if warm == 2 {
        specimen.compare(&before, &[]);
    }
    // Parts taken before the damage are read after it.
    let tables = specimen.state.keys().map(|name| before.table(&TableName::public(name)).unwrap());
    let parts: Vec<_> =
        if warm > 0 { tables.flat_map(|view| view.parts().unwrap()).collect() } else { Vec::new() };
    let (path, bytes) = &specimen.files[dice.random_range(0..specimen.files.len())];
    let how = damage(&folder.path().join(path), bytes.len() as u64, dice);
    println!("{how} of {path}, warm {warm}, {:?}", engine.options().mmap);
    std::io::stdout().flush().unwrap();
    for part in &parts {
        for batch in 0..part.num_batches() {
            // Rows or an error; which rows, the comparison below says.
            let _ = part.read(batch, &[0, 1], false);
        }
    }
    let (_, verdict) = specimen.compare(&before, &[path]);
    let after = engine.snapshot().map(|snapshot| specimen.compare(&snapshot, &[path]).1);
    match (verdict, after) {
        (Verdict::Survived, Ok(verdict)) => verdict,
        // A reader looks at the disk for each snapshot, and says what it finds damaged there.
        (Verdict::Survived, Err(error)) if engine.options().read_only => named(&error.to_string(), &[path]),
        (Verdict::Survived, Err(error)) => Verdict::Wrong(error.to_string()),
        (verdict, _) => verdict,
    }
}

fn damage(path: &Path, len: u64, dice: &mut SmallRng) -> String {
    let cut = |len| {
        if let Ok(file) = OpenOptions::new().write(true).open(path) {
            file.set_len(len).unwrap();
        }
        format!("length {len}")
    };
    match dice.random_range(0..4) {
        0 | 1 => cut(dice.random_range(0..len.max(1))),
        2 => cut(len + dice.random_range(1..5000)),
        _ => {
            let _ = std::fs::remove_file(path);
            "removal".to_owned()
        }
    }
}

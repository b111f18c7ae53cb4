//! The reliability harnesses of the engine: `cargo test -p trilith-engine --test reliability -- h8 --secs 60`.
//!
//! Each prints one line (`rel h8 commit=.. injected=.. lost=.. ..`) and fails when anything was lost, wrong, crashed
//! or hung, or when it injected less than its floor. Without arguments each runs for a few seconds, on a fixed seed
//! and a fresh one. With `--encrypted` the databases are encrypted.

#![expect(clippy::unwrap_used, reason = "a test program")]

mod alphabet;
mod arrow_rows;
mod block_log;
mod chance;
mod doomed;
mod encrypted;
mod generate;
mod golden;
mod h0_planted;
mod h10_checker;
mod h10_client;
mod h10_history;
#[cfg(debug_assertions)]
mod h11_index;
#[cfg(debug_assertions)]
mod h11_schedules;
#[cfg(debug_assertions)]
mod h11_worker;
#[cfg(debug_assertions)]
mod h11_world;
mod h12_parsers;
mod h13_full;
mod h14_syscalls;
mod h15_limits;
mod h15_paths;
mod h15_processes;
mod h15_writers;
mod h16_objects;
mod h19_backup;
mod h19_repair;
mod h1_crash;
mod h2_faults;
mod h3_child;
mod h3_kill;
mod h4_power;
mod h5_replay;
mod h6_flips;
mod h7_cuts;
mod h7_open;
mod h8_model;
mod history;
mod lanes;
mod logging_disk;
mod model;
mod mounts;
mod mutate;
mod op;
mod parsers;
mod planted;
mod report;
mod sealed;
mod seals;
mod shim;
mod shrink;
mod specimen;
mod stale;
mod truth;
mod volumes;
mod weight;
mod worker;

use report::{Budget, Report};

/// Name, entry point, floor for 60 seconds, seconds in the short run.
type Harness = (&'static str, fn(&Budget) -> Report, u64, f64);

const HARNESSES: [Harness; 17] = [
    ("h1", h1_crash::harness, 20_000, 6.0),
    ("h2", h2_faults::harness, 10_000, 6.0),
    ("h3", h3_kill::harness, 3_000, 8.0),
    ("h4", h4_power::harness, 400, 6.0),
    ("h5", h5_replay::harness, 1_000, 6.0),
    ("h6", h6_flips::harness, 200_000, 6.0),
    ("h7", h7_cuts::harness, 20_000, 6.0),
    ("h8", h8_model::harness, 5_000, 8.0),
    ("h10", h10_history::harness, 100_000, 6.0),
    ("h11", h11, 4_000, 6.0),
    ("h12", h12_parsers::harness, 1_000_000, 6.0),
    ("h13", h13_full::harness, 300, 6.0),
    ("h14", h14_syscalls::harness, 8_000, 6.0),
    ("h15", h15_processes::harness, 1_000, 6.0),
    ("h16", h16_objects::harness, 2_000, 6.0),
    ("h19", h19_repair::harness, 500, 5.0),
    ("planted", h0_planted::harness, 22, 5.0),
];

/// Schedules exist where the engine was built to ask for them.
fn h11(budget: &Budget) -> Report {
    #[cfg(debug_assertions)]
    return h11_schedules::harness(budget);
    #[cfg(not(debug_assertions))]
    return Report::skipped(format!("no schedules without debug assertions, seed {}", budget.seed));
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    encrypted::start_again(&args);
    let args: Vec<String> = args.into_iter().filter(|arg| arg != encrypted::SWITCH).collect();
    // The harnesses start this program again for what may kill it.
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--h3-child", folder, seed] => return h3_child::main(folder.as_ref(), seed.parse().unwrap_or(0)),
        ["--h7-open", seed, secs] => {
            return h7_open::main(seed.parse().unwrap_or(0), secs.parse().unwrap_or(0.0));
        }
        ["--fuzz-starts", folder] => return h12_parsers::write_starts(folder.as_ref()).unwrap(),
        ["--golden", folder] => return golden::make(folder.as_ref()),
        [worker::ARGUMENT, rounds, mode] => return worker::main(rounds.parse().unwrap_or(0), mode == "led"),
        [h15_writers::ARGUMENT, role] => return h15_writers::main(role),
        _ => {}
    }
    let option = |name: &str| args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1));
    let secs: Option<f64> = option("--secs").and_then(|text| text.parse().ok());
    let seed: Option<u64> = option("--seed").and_then(|text| text.parse().ok());
    let named = |harness: &&Harness| args.iter().any(|arg| arg == harness.0);
    let chosen: Vec<&Harness> = HARNESSES.iter().filter(named).collect();
    let chosen = if chosen.is_empty() && (args.is_empty() || secs.is_some()) {
        HARNESSES.iter().collect()
    } else {
        chosen
    };
    if std::env::var_os("RUST_BACKTRACE").is_none() {
        std::panic::set_hook(Box::new(|_| {}));
    }
    let failed = chosen.iter().filter(|harness| !passes(harness, secs, seed)).count();
    println!(
        "test result: {}. {} passed; {failed} failed",
        if failed == 0 { "ok" } else { "FAILED" },
        chosen.len() - failed
    );
    std::process::exit(i32::from(failed > 0));
}

fn passes((name, harness, floor, short): &Harness, secs: Option<f64>, seed: Option<u64>) -> bool {
    let fresh: u32 = rand::random();
    let seeds = match (seed, secs) {
        (Some(seed), _) => vec![seed],
        (None, Some(_)) => vec![u64::from(fresh) << 20],
        (None, None) => vec![1, u64::from(fresh) << 20],
    };
    let each = secs.unwrap_or(*short / seeds.len() as f64);
    let mut passed = true;
    for seed in seeds {
        let budget = Budget::new(seed, each).with_floor(*floor);
        lanes::watch(name, budget);
        let report = harness(&budget);
        println!("{}", report.line(name, &budget));
        report.failures.iter().for_each(|failure| println!("  {failure}"));
        passed &= report.passes(&budget);
    }
    passed
}

//! Makes a failing sequence short: leaves out ever smaller pieces as long as it still fails.

use std::time::{Duration, Instant};

use crate::lanes;
use crate::op::Op;

/// Time spent on each half of the work.
const PATIENCE: Duration = Duration::from_secs(8);

/// The shortest failing part of `ops` that was found.
pub fn shrink(mut ops: Vec<Op>, fails: impl Fn(&[Op]) -> bool) -> Vec<Op> {
    let mut piece = ops.len() / 2;
    let start = Instant::now();
    while piece > 0 && start.elapsed() < PATIENCE {
        let mut at = 0;
        let before = ops.len();
        while at < ops.len() && start.elapsed() < PATIENCE {
            let mut fewer = ops.clone();
            fewer.drain(at..(at + piece).min(ops.len()));
            lanes::tick();
            if fails(&fewer) {
                ops = fewer;
            } else {
                at += piece;
            }
        }
        if piece > 1 || ops.len() == before {
            piece /= 2;
        }
    }
    shrink_rows(ops, fails)
}

/// Leaves out rows of the operations that are left.
fn shrink_rows(mut ops: Vec<Op>, fails: impl Fn(&[Op]) -> bool) -> Vec<Op> {
    let start = Instant::now();
    for at in 0..ops.len() {
        for list in 0..ops[at].row_lists().len() {
            let mut piece = ops[at].row_lists()[list].len().div_ceil(2);
            let mut from = 0;
            while piece > 0 && start.elapsed() < PATIENCE {
                let mut fewer = ops.clone();
                let rows = &mut *fewer[at].row_lists()[list];
                if from < rows.len() {
                    rows.drain(from..(from + piece).min(rows.len()));
                    lanes::tick();
                    if fails(&fewer) {
                        ops = fewer;
                    } else {
                        from += piece;
                    }
                } else {
                    (piece, from) = (piece / 2, 0);
                }
            }
        }
    }
    ops
}

/// The operations, one a line, long ones cut.
pub fn show(ops: &[Op]) -> String {
    let line = |op: &Op| {
        let text = format!("{op:?}");
        let cut: String = text.chars().take(1500).collect();
        if cut.len() < text.len() { format!("{cut} ...") } else { cut }
    };
    ops.iter().map(line).collect::<Vec<_>>().join("\n  ")
}

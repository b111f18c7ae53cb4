"""Kills a writer in the middle of its commits and looks at what is left."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import trilith
from stdlib_index.writer import ROWS_PER_COMMIT

COMMITS_BEFORE_KILL = 40
TABLES = ("objects", "metrics", "meaning", "vocabulary")


def kill_and_verify(path: str) -> bool:
    """Kill a writing process with SIGKILL; True when everything it had acknowledged is there, whole."""
    before = _counts(path)
    acknowledged = _kill_writer(path)
    print(f"   killed after {acknowledged} acknowledged commits of {ROWS_PER_COMMIT:,} rows, while it wrote the next")
    begin = time.perf_counter()
    with trilith.connect(path) as db:
        opened = time.perf_counter() - begin
        batches = dict(db.sql("SELECT batch, count(*) FROM ledger GROUP BY batch").fetchall())
    print(
        f"   opened again in {1000 * opened:.0f} ms; {sum(batches.values()):,} rows of {len(batches)} commits are there"
    )
    problems = _problems(acknowledged, batches)
    if _counts(path) != before:
        problems.append("the tables that were not written to have changed")
    for problem in problems:
        print(f"   WRONG: {problem}")
    if not problems:
        print("   nothing acknowledged is gone, no commit is there in part, the other tables are as they were")
    return not problems


def _kill_writer(path: str) -> int:
    """Start the writer, kill it at a random moment, and return how many commits it acknowledged."""
    command = [sys.executable, str(Path(__file__).with_name("writer.py")), path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        lines = [line for _, line in zip(range(COMMITS_BEFORE_KILL), writer.stdout, strict=False)]
        time.sleep(random.uniform(0, 0.02))
        writer.kill()
        lines += writer.stdout.readlines()
    complete = [line for line in lines if line.endswith("\n")]
    if len(complete) < COMMITS_BEFORE_KILL:
        raise RuntimeError(
            f"the writer stopped by itself after {len(complete)} commits (exit code {writer.returncode})"
        )
    return len(complete)


def _problems(acknowledged: int, batches: dict[int, int]) -> list[str]:
    lost = [number for number in range(acknowledged) if number not in batches]
    torn = {number: rows for number, rows in batches.items() if rows != ROWS_PER_COMMIT}
    unexpected = [number for number in batches if number > acknowledged]
    found = (
        ("acknowledged commits are gone", lost),
        ("commits are there in part", torn),
        ("unknown commits", unexpected),
    )
    return [f"{what}: {which}" for what, which in found if which]


def _counts(path: str) -> dict[str, int]:
    with trilith.connect(path) as db:
        return {name: db.table(name).count() for name in TABLES}

"""Opening a database of 1 GB after a clean close, in a fresh process, until the first row is read."""

from __future__ import annotations

import os
import statistics
from pathlib import Path

from measure import ROUNDS, apart, folder, line, seconds, show
from rows import reader

import trilith

ROWS = int(os.environ.get("ROWS", "28000000"))
GOAL_MS = 100


def opened(path: str) -> float:
    """Seconds that ``connect`` takes."""
    return seconds(lambda: trilith.connect(path))


def answered(path: str) -> float:
    """Seconds until the first row of the table is there."""
    return seconds(lambda: trilith.connect(path).sql("SELECT * FROM t LIMIT 1").fetchone())


def main() -> None:
    """Measure and print."""
    with folder() as base:
        path = base / "open.tri"
        with trilith.connect(path) as db:
            db.create_table("t", reader(ROWS))
        times = [apart(opened, str(path))[0] for _ in range(ROUNDS)]
        first = [apart(answered, str(path))[0] for _ in range(ROUNDS)]
        size = sum(file.stat().st_size for file in Path(path).rglob("*") if file.is_file())
    ms = 1000 * statistics.median(times)
    what = f"open {size / 1e9:.2f} GB after a clean close, files in the page cache"
    spread = f"{ms:.1f} ms ({1000 * min(times):.1f} to {1000 * max(times):.1f})"
    show(line(what, "group", spread, "", None, f"< {GOAL_MS} ms", ms < GOAL_MS))
    print(f"open and read the first row: {1000 * statistics.median(first):.1f} ms")


if __name__ == "__main__":
    main()

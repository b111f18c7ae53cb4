"""Point get by key from Python, warm, beside SQLite's on the same rows."""

from __future__ import annotations

import os
import random
import sqlite3
import statistics
from collections.abc import Callable

from measure import agree, folder, line, show, take_turns
from rows import batches, reader

import trilith

ROWS = int(os.environ.get("ROWS", "1000000"))
GETS = 20_000
GOAL_US = 10


def main() -> None:
    """Measure and print."""
    keys = random.Random(3).choices(range(ROWS), k=GETS)
    with folder() as base, trilith.connect(base / "get.tri") as db:
        table = db.create_table("t", reader(ROWS), primary_key="id")
        db.flush()
        lite = _sqlite(str(base / "get.sqlite"))
        select = lite.execute
        agree([table.get(key)["price"] for key in keys[:100]], [_price(select, key) for key in keys[:100]])

        def ours() -> None:
            get = table.get
            for key in keys:
                get(key)

        def theirs() -> None:
            for key in keys:
                select("SELECT * FROM t WHERE id = ?", (key,)).fetchone()

        pair = take_turns(ours, theirs)
    us = [1e6 * statistics.median(side) / GETS for side in (pair.ours, pair.theirs)]
    what = f"point get by key, {ROWS / 1e6:g} M rows, warm (peer: SQLite)"
    show(line(what, "any (reads)", f"{us[0]:.1f} us", f"{us[1]:.1f} us", pair, f"< {GOAL_US} us", us[0] < GOAL_US))


def _sqlite(path: str) -> sqlite3.Connection:
    lite = sqlite3.connect(path)
    lite.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, at INTEGER, kind TEXT, quantity INTEGER, price REAL)")
    for batch in batches(ROWS):
        columns = [batch["id"], batch["at"].cast("int64"), batch["kind"], batch["quantity"], batch["price"]]
        lite.executemany(
            "INSERT INTO t VALUES (?, ?, ?, ?, ?)", zip(*(column.to_pylist() for column in columns), strict=True)
        )
    lite.commit()
    return lite


def _price(select: Callable[..., sqlite3.Cursor], key: int) -> float:
    return select("SELECT price FROM t WHERE id = ?", (key,)).fetchone()[0]


if __name__ == "__main__":
    main()

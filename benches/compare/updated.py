"""Scan of a table after random updates of 10 % of its rows, against the same rows in clean Parquet.

Three states: right after the updates (in memory), after their flush (bitmaps and a small file), and once background
compaction has come to rest.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import datafusion
import numpy as np
import pyarrow as pa
import pyarrow.parquet
from measure import agree, folder, line, show, take_turns
from rows import batches, reader

import trilith

ROWS = int(os.environ.get("ROWS", "10000000"))
STEP_ROWS = 50_000
STATEMENT = (
    "SELECT kind, count(*) AS n, sum(quantity) AS q, max(price) AS p "
    "FROM t WHERE id % 7 <> 0 GROUP BY kind ORDER BY kind"
)


def main() -> None:
    """Measure and print."""
    lines = []
    with folder() as base, trilith.connect(base / "updated.tri", durability="buffered") as db:
        table = db.create_table("t", reader(ROWS), primary_key="id")
        db.flush()
        for step in _updates():
            table.upsert(step)
        clean = _parquet(db, base / "t.parquet")
        for state in ("just updated", "flushed", "at rest"):
            if state == "flushed":
                db.flush()
            elif state == "at rest":
                _rest(db)
            lines.append(_measure(db, clean, state))
    show(*lines)


def _updates() -> Iterator[pa.RecordBatch]:
    """Other values for a tenth of the rows, at random."""
    chance = np.random.default_rng(2)
    ids = np.sort(chance.choice(ROWS, ROWS // 10, replace=False))
    chance.shuffle(ids)
    template = next(batches(STEP_ROWS))
    for first in range(0, len(ids), STEP_ROWS):
        step = ids[first : first + STEP_ROWS]
        columns = [column.slice(0, len(step)) for column in template.columns[1:]]
        yield pa.RecordBatch.from_arrays([pa.array(step), *columns], schema=template.schema)


def _parquet(db: trilith.Database, path: Path) -> datafusion.SessionContext:
    """The same rows as any writer leaves them, under stock DataFusion."""
    rows = db.sql("SELECT * FROM t ORDER BY id").arrow()
    pyarrow.parquet.write_table(rows, path, row_group_size=128_000)
    context = datafusion.SessionContext()
    context.register_parquet("t", str(path))
    return context


def _rest(db: trilith.Database) -> None:
    """Wait until nothing is being compacted and nothing is due."""
    due = "SELECT sum(compaction_debt_bytes) FROM trilith.stats"
    while (db.sql(due).fetchone() or (0,))[0]:
        time.sleep(0.1)


def _measure(db: trilith.Database, clean: datafusion.SessionContext, state: str) -> str:
    theirs = [tuple(row.values()) for batch in clean.sql(STATEMENT).collect() for row in batch.to_pylist()]
    agree(db.sql(STATEMENT).fetchall(), theirs)
    pair = take_turns(lambda: db.sql(STATEMENT).fetchall(), lambda: clean.sql(STATEMENT).collect())
    left, right = (f"{1000 * statistics.median(side):.0f} ms" for side in (pair.ours, pair.theirs))
    what = f"scan after 10 % updates, {state}, {ROWS / 1e6:g} M rows (peer: clean Parquet under DataFusion)"
    return line(what, "any (reads)", left, right, pair, "<= 1.05", pair.ratio <= 1.05)


if __name__ == "__main__":
    main()

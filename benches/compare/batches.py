"""Many commits of 1,000 rows each at level ``buffered``, beside DuckDB's inserts of the same batches."""

from __future__ import annotations

import os
import statistics
from itertools import count

import duckdb
import pyarrow as pa
from measure import folder, line, show, take_turns
from rows import batches

import trilith

ROWS_PER_COMMIT = 1000
COMMITS = int(os.environ.get("COMMITS", "1000"))
GOAL = 500_000


def main() -> None:
    """Measure and print."""
    parts = [
        batch.slice(first, ROWS_PER_COMMIT)
        for batch in batches(COMMITS * ROWS_PER_COMMIT)
        for first in range(0, batch.num_rows, ROWS_PER_COMMIT)
    ]
    names = count()
    with folder() as base, trilith.connect(base / "batches.tri", durability="buffered") as db:
        rival = duckdb.connect(str(base / "batches.duckdb"))
        pair = take_turns(lambda: _ours(db, f"t{next(names)}", parts), lambda: _theirs(rival, f"t{next(names)}", parts))
        rival.close()
    rates = [COMMITS * ROWS_PER_COMMIT / statistics.median(side) for side in (pair.ours, pair.theirs)]
    ours, theirs = (f"{rate / 1e3:,.0f} k rows/s" for rate in rates)
    what = f"{COMMITS:,} commits of {ROWS_PER_COMMIT:,} rows (peer: DuckDB, its own log)"
    show(line(what, "buffered", ours, theirs, pair, f">= {GOAL / 1e3:.0f} k rows/s", rates[0] >= GOAL))


def _ours(db: trilith.Database, name: str, parts: list[pa.RecordBatch]) -> None:
    table = db.create_table(name, parts[0].schema)
    for part in parts:
        table.append(part)


def _theirs(rival: duckdb.DuckDBPyConnection, name: str, parts: list[pa.RecordBatch]) -> None:
    rival.register("part", pa.Table.from_batches(parts[:1]))
    rival.execute(f"CREATE TABLE {name} AS SELECT * FROM part LIMIT 0")
    for batch in parts:
        rival.register("part", pa.Table.from_batches([batch]))
        rival.execute(f"INSERT INTO {name} SELECT * FROM part")


if __name__ == "__main__":
    main()

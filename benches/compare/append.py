"""Bulk append of 10 M narrow Arrow rows into a file, against DuckDB into its own, with peak memory.

Both sides get the same stream of batches, in a fresh process each round, and both are timed until
the rows are durable: DuckDB after its checkpoint, Trilith after its commit at level ``group``.
"""

from __future__ import annotations

import os
import statistics
from pathlib import Path

from measure import Pair, apart, folder, line, seconds, show
from rows import SCHEMA, reader

ROWS = int(os.environ.get("ROWS", "10000000"))
ROUNDS = int(os.environ.get("ROUNDS", "5"))


def trilith_append(path: str) -> float:
    """Append to a keyless table and close."""
    import trilith

    db = trilith.connect(path, durability="group")
    table = db.create_table("t", SCHEMA)
    taken = seconds(lambda: table.append(reader(ROWS)))
    db.close()
    return taken


def duckdb_append(path: str) -> float:
    """Insert into a table of a new database file and check-point it."""
    import duckdb

    db = duckdb.connect(path)
    db.register("empty", SCHEMA.empty_table())
    db.execute("CREATE TABLE t AS SELECT * FROM empty")
    db.register("stream", reader(ROWS))

    def insert() -> None:
        db.execute("INSERT INTO t SELECT * FROM stream")
        db.execute("CHECKPOINT")

    taken = seconds(insert)
    db.close()
    return taken


def idle(_: str) -> float:
    """Make the rows and throw them away: what the input alone costs."""
    return seconds(lambda: sum(batch.num_rows for batch in reader(ROWS)))


def main() -> None:
    """Measure and print."""
    with folder() as base:
        rounds = [_round(base, number) for number in range(ROUNDS)]
        floor_s, floor_mb = apart(idle, "")
    pair = Pair([ours[0] for ours, _ in rounds], [theirs[0] for _, theirs in rounds])
    ours, theirs = [f"{ROWS / statistics.median(side) / 1e6:.1f} M rows/s" for side in (pair.ours, pair.theirs)]
    memory = [f"peak {max(side[index][1] for side in rounds):.0f} MB" for index in (0, 1)]
    what = f"append {ROWS / 1e6:g} M narrow rows"
    show(
        line(
            what,
            "group / checkpoint",
            f"{ours}, {memory[0]}",
            f"{theirs}, {memory[1]}",
            pair,
            "<= 1.0",
            pair.ratio <= 1,
        )
    )
    print(f"making the rows alone: {floor_s:.2f} s, peak {floor_mb:.0f} MB")


def _round(base: Path, number: int) -> tuple[tuple[float, float], tuple[float, float]]:
    ours, theirs = base / f"{number}.tri", base / f"{number}.duckdb"
    result = apart(trilith_append, str(ours)), apart(duckdb_append, str(theirs))
    for file in [*ours.rglob("*"), theirs]:
        if file.is_file():
            file.unlink()
    return result


if __name__ == "__main__":
    main()

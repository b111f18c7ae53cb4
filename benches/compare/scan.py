"""Full scan with an aggregate over a flushed table, against DataFusion on the same rows in memory."""

from __future__ import annotations

import os
import statistics

import datafusion
from measure import agree, folder, line, show, take_turns
from rows import batches, reader

import trilith

ROWS = int(os.environ.get("ROWS", "10000000"))
STATEMENT = (
    "SELECT kind, count(*) AS n, sum(quantity) AS q, max(price) AS p "
    "FROM t WHERE id % 7 <> 0 GROUP BY kind ORDER BY kind"
)


def main() -> None:
    """Measure and print."""
    with folder() as base, trilith.connect(base / "scan.tri") as db:
        db.create_table("t", reader(ROWS))
        db.flush()
        memory = datafusion.SessionContext()
        parts = [[], []]
        for index, batch in enumerate(batches(ROWS)):
            parts[index % 2].append(batch)
        memory.register_record_batches("t", parts)

        agree(db.sql(STATEMENT).fetchall(), _rows(memory))
        pair = take_turns(lambda: db.sql(STATEMENT).fetchall(), lambda: memory.sql(STATEMENT).collect())
    ours, theirs = (f"{1000 * statistics.median(side):.0f} ms" for side in (pair.ours, pair.theirs))
    what = f"scan and aggregate, {ROWS / 1e6:g} M rows (peer: DataFusion in memory)"
    show(line(what, "any (reads)", ours, theirs, pair, "<= 1.3", pair.ratio <= 1.3))


def _rows(memory: datafusion.SessionContext) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for batch in memory.sql(STATEMENT).collect() for row in batch.to_pylist()]


if __name__ == "__main__":
    main()

"""A durable commit of one row, against the least that could be: append 256 bytes and fdatasync.

The two take turns commit by commit, on one disk, so that both meet the same moods of it.
"""

from __future__ import annotations

import os
import statistics
import time

from measure import Pair, folder, line, show

import trilith

COMMITS = int(os.environ.get("COMMITS", "1000"))
WARM = 50
BYTES = b"x" * 256


def main() -> None:
    """Measure and print."""
    with folder() as base, trilith.connect(base / "commit.tri", durability="group") as db:
        columns = {"id": "BIGINT", "kind": "TEXT", "price": "DOUBLE"}
        table = db.create_table("t", columns, primary_key="id")
        bare = os.open(base / "bare.log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)

        def ours(number: int) -> None:
            table.append([{"id": number, "kind": "tea", "price": 2.5}])

        def theirs(_: int) -> None:
            os.write(bare, BYTES)
            os.fdatasync(bare)

        times = [(_timed(ours, number), _timed(theirs, number)) for number in range(COMMITS + WARM)][WARM:]
        os.close(bare)
        assert table.count() == COMMITS + WARM
    pair = Pair([ours for ours, _ in times], [theirs for _, theirs in times])
    ours, theirs = (f"{1e6 * statistics.median(side):.0f} us" for side in (pair.ours, pair.theirs))
    what = "commit of one row (peer: append 256 B + fdatasync)"
    show(line(what, "group", ours, theirs, pair, "<= 1.2", pair.ratio <= 1.2))


def _timed(work: object, number: int) -> float:
    begin = time.perf_counter()
    work(number)
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()

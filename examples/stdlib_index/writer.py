"""A program that commits without end and says so each time; it is meant to be killed.

Each commit is one batch of rows. The number is printed only after the commit came back, so whoever
reads the output knows what the database has promised to keep.
"""

from __future__ import annotations

import itertools
import sys

import numpy as np

import trilith

ROWS_PER_COMMIT = 1000


def main(path: str) -> None:
    """Append to the table ``ledger`` until killed."""
    with trilith.connect(path, durability="group") as db:
        columns = {"id": "BIGINT", "batch": "BIGINT", "amount": "DOUBLE"}
        ledger = db.create_table("ledger", columns, primary_key="id", replace=True)
        for number in itertools.count():
            ids = np.arange(number * ROWS_PER_COMMIT, (number + 1) * ROWS_PER_COMMIT)
            ledger.append({"id": ids, "batch": np.full(ROWS_PER_COMMIT, number), "amount": ids / 100})
            print(number, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])

"""The rows that the comparisons use: narrow ones of mixed types, made the same way each time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

BATCH_ROWS = 100_000
KINDS = ["tea", "ink", "oil", "tin", "jam", "rye", "ale", "fig"]

SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("at", pa.timestamp("us")),
        pa.field("kind", pa.string()),
        pa.field("quantity", pa.int32()),
        pa.field("price", pa.float64()),
    ]
)


def batches(rows: int) -> Iterator[pa.RecordBatch]:
    """``rows`` rows in batches; only the ids differ between batches, so that making them costs little."""
    template = _template()
    for first in range(0, rows, BATCH_ROWS):
        count = min(BATCH_ROWS, rows - first)
        ids = pa.array(np.arange(first, first + count))
        yield pa.RecordBatch.from_arrays([ids, *(column.slice(0, count) for column in template)], schema=SCHEMA)


def reader(rows: int) -> pa.RecordBatchReader:
    """The same rows as a stream."""
    return pa.RecordBatchReader.from_batches(SCHEMA, batches(rows))


def _template() -> list[pa.Array]:
    chance = np.random.default_rng(1)
    return [
        pa.array(chance.integers(0, 2**50, BATCH_ROWS), pa.timestamp("us")),
        pa.array(np.array(KINDS)[chance.integers(0, len(KINDS), BATCH_ROWS)]),
        pa.array(chance.integers(1, 1000, BATCH_ROWS), pa.int32()),
        pa.array(np.round(chance.random(BATCH_ROWS) * 100, 2)),
    ]

"""Rows of a result chosen by a function of the caller's."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from trilith import _arrow
from trilith._native import ArrowBatches
from trilith.errors import Invalid

if TYPE_CHECKING:
    import pyarrow as pa

RELEVANCE = "_relevance"


def best(result: ArrowBatches, score: Callable[[pa.Table], Iterable[float | None]], k: int) -> pa.Table:
    """Return the ``k`` rows with the highest scores, best first; see :meth:`trilith.query.Query.rerank`."""
    pyarrow: Any = _arrow.required("pyarrow", ".rerank()")
    rows = pyarrow.table(result)
    if k < 1:
        raise Invalid(f"rerank: k must be a whole number above 0, not {k}")
    if RELEVANCE in rows.column_names:
        raise Invalid(f"rerank: the result has a column {RELEVANCE} already; leave it out")
    scores = _numbers(score(rows), len(rows))
    known = [at for at, number in enumerate(scores) if not math.isnan(number)]
    chosen = sorted(known, key=lambda at: -scores[at])[:k]
    relevance = pyarrow.array([scores[at] for at in chosen], pyarrow.float64())
    return rows.take(pyarrow.array(chosen, pyarrow.int64())).append_column(RELEVANCE, relevance)


def _numbers(scores: Any, count: int) -> list[float]:
    """Scores in any form, NaN for a missing one."""
    try:
        plain = scores.tolist() if hasattr(scores, "tolist") else list(scores)
        numbers = [math.nan if number is None else float(number) for number in plain]
    except (TypeError, ValueError) as why:
        raise Invalid(f"rerank: the function must return one number for each row: {why}") from why
    if len(numbers) != count:
        raise Invalid(f"rerank: the function returned {len(numbers)} numbers for {count} rows")
    return numbers

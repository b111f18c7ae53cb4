"""Indexes of columns of vectors."""

from __future__ import annotations

from typing import Any

from trilith._native import Table as NativeTable
from trilith.query import Query


class Indexes:
    """What :class:`trilith.Table` keeps beside its vectors, when that is not left to it."""

    _native: NativeTable

    def create_index(
        self,
        column: str,
        kind: str = "ivf",
        *,
        metric: str | None = None,
        name: str | None = None,
        recall: float | None = None,
        **options: int,
    ) -> None:
        """Name an index of a column of vectors, and make it for the rows that are there.

        No search needs one: a column without has what ``ivf`` has, and is searched exactly unless a search says
        otherwise. With an index, searches that do not say are held to its ``recall``. Every commit is found by the
        next search, with an index and without. Ctrl-C stops the wait, not the work.

        Args:
            column: a column of vectors; it has one index at most.
            kind: ``ivf`` (codes in lists), ``rabitq`` (codes, read whole), ``graph`` or ``hnsw`` (near rows linked: the
                fewest rows are read and the most time is taken to make it; compare it with ``ivf`` on tables of a
                million rows that are read more than written) or ``flat`` (nothing).
            metric: ``cosine``, ``l2`` or ``inner_product``: the only one that the index is for.
            name: its name; ``{table}_{column}_idx`` when left out.
            recall: the share of the nearest rows that a search finds which does not say; 0.98 when left out, 1 for all.
            options: ``lists`` of each file (ivf, graph, hnsw); ``m`` and ``ef_construction`` (graph, hnsw).

        Raises:
            AlreadyExists: an index has the name.
            Invalid: the column holds no vectors or has an index, or there is no such kind, metric or option.
            NotFound: there is no such column.

        >>> import trilith
        >>> db = trilith.connect(":memory:")
        >>> t = db.create_table("items", {"id": "BIGINT", "v": "VECTOR(64)"}, primary_key="id")
        >>> t.create_index("v", "hnsw", metric="l2", recall=0.95, m=24)
        >>> [(index["index_name"], index["method"], index["recall"]) for index in t.indexes()]
        [('items_v_idx', 'hnsw', 0.95)]
        >>> t.drop_index("items_v_idx")
        """
        texts = {option: str(value) for option, value in options.items()}
        if recall is not None:
            texts["recall"] = repr(float(recall))
        self._native.create_index({"name": name, "column": column, "kind": kind, "class": metric, "options": texts})

    def drop_index(self, name: str) -> None:
        """Drop an index; its column is then searched as columns without one are.

        Raises:
            NotFound: there is no such index.
        """
        self._native.drop_index(name)

    def indexes(self) -> list[dict[str, Any]]:
        """Return the indexes that were named, as rows of the system table ``trilith.indexes``."""
        query = Query(self._native.indexes())
        return [dict(zip(query.columns, row, strict=True)) for row in query.fetchall()]

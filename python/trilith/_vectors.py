"""Searches by distance, and what else is computed of a column of vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trilith._native import Table as NativeTable
from trilith.query import Query

# More rows than any table has.
_ALL = 2**63 - 1


class VectorSearches:
    """What :class:`trilith.Table` does with columns of vectors."""

    _native: NativeTable

    def search(
        self,
        vector: Any,
        column: str | None = None,
        k: int | None = 10,
        where: str | None = None,
        columns: Sequence[str] | None = None,
        metric: str = "cosine",
        recall: float | None = None,
        diversity: float = 0.0,
        within: float | None = None,
        per: str | Sequence[str] | None = None,
        *,
        nprobe: int | None = None,
        ef_search: int | None = None,
        epsilon: float | None = None,
        rescore: int | None = None,
    ) -> Query:
        """Return the ``k`` rows nearest to ``vector``, nearest first, with a column ``_distance``.

        Rows without a vector are never found. For several vectors, return the rows nearest to each, in their order,
        and its place as a column ``_query``.

        Args:
            vector: shape ``(d,)`` or ``(n, d)``: a numpy or Arrow array, or a list of numbers or of such lists.
            column: the vector column; may be left out when the table has only one.
            k: the most rows to return; ``None`` for all of them.
            where: a SQL condition that every returned row fulfils; it is applied before the nearest are chosen.
            columns: names of the columns to return, such as ``["id", "_distance"]``; all of them when left out.
            metric: ``cosine``, ``l2``, ``inner_product``, ``l1`` or ``hamming``.
            recall: the share of the nearest that is enough, from 0.5 up: ``0.98`` reads an eighth of what an exact
                search reads. 1 finds them all, and so does ``None`` unless an index of the column says otherwise.
            diversity: what being unlike the rows already taken counts against being near, from 0 to 1 (maximal
                marginal relevance among four times ``k`` rows); rows then come in the order in which they were taken.
            per: a column, or several: the ``k`` nearest rows of each of its values are returned, one value after the
                other and nulls, which count as one, last. Such a search is exact, whatever the ``recall``.
            within: the greatest ``_distance`` to return: with ``k=None``, all rows that are no farther.
            nprobe: lists of each file to read, for those who would rather say this than ``recall``.
            ef_search: rows that a walk through a graph holds.
            epsilon: how many standard deviations wide the bounds by codes of one bit are.
            rescore: the most rows of each file whose distances are computed from their vectors.
        """
        arguments = {
            "query": vector,
            "column": column,
            "k": _ALL if k is None else k,
            "metric": metric,
            "recall": recall,
            "diversity": diversity,
            "within": within,
            "nprobe": nprobe,
            "ef_search": ef_search,
            "epsilon": epsilon,
            "rescore": rescore,
            "per": [per] if isinstance(per, str) else list(per) if per else None,
        }
        return Query(self._native.search("vector_search", arguments, names(columns), where))

    def knn_graph(
        self, column: str | None = None, k: int = 10, metric: str = "cosine", recall: float | None = None
    ) -> Query:
        """Return the ``k`` nearest other rows of each row, nearest first.

        The columns are those of the primary key, the same of the other row as ``neighbor_...``, and ``_distance``. Rows
        without a vector have no neighbors and are nobody's.

        Args:
            column: the vector column; may be left out when the table has only one.
            k: the most neighbors of a row.
            metric: as in :meth:`search`.
            recall: the share of the nearest that is enough, as in :meth:`search`.

        >>> import trilith
        >>> db = trilith.connect(":memory:")
        >>> t = db.create_table("t", {"id": "BIGINT", "v": "VECTOR(1)"}, primary_key="id")
        >>> t.upsert([{"id": 1, "v": [0]}, {"id": 2, "v": [1]}, {"id": 3, "v": [5]}])
        3
        >>> t.knn_graph(k=1, metric="l2").fetchall()
        [(1, 2, 1.0), (2, 1, 1.0), (3, 2, 4.0)]
        """
        arguments = {"column": column, "k": k, "metric": metric, "recall": recall}
        return Query(self._native.search("knn_graph", arguments, None, None))

    def kmeans(
        self,
        column: str | None = None,
        k: int = 8,
        iterations: int = 20,
        seed: int = 0,
        sample: int | None = None,
        metric: str = "l2",
    ) -> Query:
        """Return all rows with the cluster of each, ``_cluster``, and its ``_distance`` from the cluster's centroid.

        Clusters are numbered from 0. The same call on the same rows gives the same clusters. Rows without a vector are
        in none: ``_cluster`` is null.

        Args:
            column: the vector column; may be left out when the table has only one.
            k: the number of clusters.
            iterations: the most rounds in which centroids move; they end when none does.
            seed: which rows the centroids start from, each far from the others (k-means++).
            sample: the rows in which centroids are found, evenly spaced; 256 for each cluster when left out.
            metric: ``l2``, or ``cosine`` for directions: vectors count as if they had length one.

        >>> import trilith
        >>> db = trilith.connect(":memory:")
        >>> t = db.create_table("t", {"id": "BIGINT", "v": "VECTOR(1)"}, primary_key="id")
        >>> t.upsert([{"id": 1, "v": [0]}, {"id": 2, "v": [9]}, {"id": 3, "v": [1]}])
        3
        >>> a, b, c = [row[2] for row in t.kmeans(k=2).fetchall()]
        >>> a == c != b
        True
        """
        return Query(self._native.search("kmeans", _grouping(column, k, iterations, seed, sample, metric), None, None))

    def kmeans_centroids(
        self,
        column: str | None = None,
        k: int = 8,
        iterations: int = 20,
        seed: int = 0,
        sample: int | None = None,
        metric: str = "l2",
    ) -> Query:
        """Return the clusters that :meth:`kmeans` finds when given the same: ``cluster``, ``centroid`` and ``rows``.

        ``rows`` counts those of the whole table that are in the cluster.
        """
        arguments = _grouping(column, k, iterations, seed, sample, metric)
        return Query(self._native.search("kmeans_centroids", arguments, None, None))


def _grouping(
    column: str | None, k: int, iterations: int, seed: int, sample: int | None, metric: str
) -> dict[str, Any]:
    return {
        "column": column,
        "k": k,
        "iterations": iterations,
        "seed": seed,
        "sample": sample,
        "metric": metric,
    }


def names(columns: Sequence[str] | None) -> list[str] | None:
    return None if columns is None else [columns] if isinstance(columns, str) else list(columns)

"""The searches of a table: by distance, by words, by sparse vectors, by lists of vectors, by words and distance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trilith._native import Table as NativeTable
from trilith.query import Query

# More rows than any table has.
_ALL = 2**63 - 1


class Searches:
    """What :class:`trilith.Table` finds rows with."""

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
        return Query(self._native.search("vector_search", arguments, _names(columns), where))

    def text_search(
        self,
        words: str,
        column: str | None = None,
        k: int = 10,
        where: str | None = None,
        columns: Sequence[str] | None = None,
        language: str = "english",
        operator: str = "or",
    ) -> Query:
        """Return the ``k`` rows that fit ``words`` best by BM25, best first, with a column ``_score``.

        No index need be made: each commit is found by the next search. Rows without text are never found.

        Args:
            words: any text. ``+word``, ``-word``, ``AND``, ``OR``, ``NOT``, parentheses, ``"a phrase"``,
                ``"a phrase"~2`` (up to two words between), ``pre*`` and ``fuzy~`` mean what they do in search boxes.
            column: a text column, or a path in documents such as ``doc.title``; may be left out when the table has
                only one text column beside its key.
            k: the most rows to return.
            where: a SQL condition that every returned row fulfils; it is applied before the best are chosen.
            columns: names of the columns to return; all of them when left out.
            language: whose stop words and endings are taken away, such as ``german``; ``none`` for words as they are.
            operator: ``or``: any of the words; ``and``: all of them.

        >>> import trilith
        >>> db = trilith.connect(":memory:")
        >>> t = db.create_table("pages", [{"id": 1, "body": "Green tea"}, {"id": 2, "body": "A cup"}], primary_key="id")
        >>> t.text_search("teas").fetchall()[0][:2]
        (1, 'Green tea')
        """
        arguments = {"query": words, "column": column, "k": k, "language": language, "operator": operator}
        return Query(self._native.search("text_search", arguments, _names(columns), where))

    def sparse_search(
        self,
        vector: Any,
        column: str | None = None,
        k: int = 10,
        where: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> Query:
        """Return the ``k`` rows whose inner product with a sparse vector is greatest, with a column ``_score``.

        The search is exact. Rows that share no index with the vector are never found.

        Args:
            vector: ``{index: weight}``, ``{"indices": [...], "values": [...]}``, or a row of a scipy matrix.
            column: the SPARSEVEC column; may be left out when the table has only one.
            k: the most rows to return.
            where: a SQL condition that every returned row fulfils; it is applied before the best are chosen.
            columns: names of the columns to return; all of them when left out.

        >>> import trilith
        >>> db = trilith.connect(":memory:")
        >>> t = db.create_table("pages", {"id": "BIGINT", "terms": "SPARSEVEC"}, primary_key="id")
        >>> t.upsert([{"id": 1, "terms": {3: 0.5, 7: 1.5}}, {"id": 2, "terms": {9: 2.0}}])
        2
        >>> [(row[0], row[-1]) for row in t.sparse_search({7: 2.0}).fetchall()]
        [(1, 3.0)]
        """
        arguments = {"query": _sparse_text(vector), "column": column, "k": k}
        return Query(self._native.search("sparse_search", arguments, _names(columns), where))

    def sparse_stats(self, column: str | None = None) -> dict[str, Any]:
        """Return what a SPARSEVEC column holds: ``vectors``, ``vocabulary``, ``postings`` and ``mean_non_zeros``.

        Vectors that are not null, the distinct indices, the indices of all vectors, and those of one on average (None
        without a vector). The column may be left out when the table has only one.
        """
        found = Query(self._native.search("sparse_stats", {"column": column}, None, None))
        return dict(zip(found.columns, found.fetchone() or (), strict=True))

    def multivector_search(
        self,
        vectors: Any,
        column: str | None = None,
        k: int = 10,
        where: str | None = None,
        columns: Sequence[str] | None = None,
        metric: str = "cosine",
    ) -> Query:
        """Return the ``k`` rows whose lists of vectors fit those of the query best, with a column ``_score``.

        Late interaction, as in ColBERT: for each vector of the query the greatest similarity with a vector of the row,
        and the sum of those. The search is exact. Rows without a vector are never found.

        Args:
            vectors: shape ``(m, d)``: a numpy or Arrow array, or a list of lists of numbers.
            column: the column of lists of vectors, ``VECTOR(d)[]``; may be left out when the table has only one.
            k: the most rows to return.
            where: a SQL condition that every returned row fulfils; it is applied before the best are chosen.
            columns: names of the columns to return; all of them when left out.
            metric: the similarity: ``cosine`` (0 with a zero vector) or ``inner_product``.

        >>> import trilith
        >>> db = trilith.connect(":memory:")
        >>> t = db.create_table("pages", {"id": "BIGINT", "tokens": "VECTOR(2)[]"}, primary_key="id")
        >>> t.upsert([{"id": 1, "tokens": [[1, 0], [0, 1]]}, {"id": 2, "tokens": [[1, 0]]}])
        2
        >>> t.multivector_search([[0, 1], [1, 0]], columns=["id", "_score"]).fetchall()
        [(1, 2.0), (2, 1.0)]
        """
        arguments = {"query": vectors, "column": column, "k": k, "metric": metric}
        return Query(self._native.search("multivector_search", arguments, _names(columns), where))

    def hybrid_search(
        self,
        words: str,
        vector: Any,
        text_column: str | None = None,
        vector_column: str | None = None,
        k: int = 10,
        where: str | None = None,
        columns: Sequence[str] | None = None,
        metric: str = "cosine",
        recall: float | None = None,
        language: str = "english",
        operator: str = "or",
        fusion: str = "rrf",
        text_weight: float = 1.0,
        vector_weight: float = 1.0,
    ) -> Query:
        """Return the ``k`` rows that rank best by words and by distance together, best first.

        The columns are the table's, ``_text_score`` and ``_distance`` (null where that search did not find the row) and
        ``_score``.

        Args:
            words: what :meth:`text_search` is given.
            vector: shape ``(d,)``: what :meth:`search` is given.
            text_column: a text column or a path in documents; may be left out when the table has only one text column.
            vector_column: a column of vectors; may be left out when the table has only one.
            k: the most rows to return.
            where: a SQL condition that every returned row fulfils; it is applied before either search chooses.
            columns: names of the columns to return; all of them when left out.
            metric: of the distances, as in :meth:`search`.
            recall: the share of the nearest that is enough, as in :meth:`search`.
            language: of the words, as in :meth:`text_search`.
            operator: between the words, as in :meth:`text_search`.
            fusion: ``rrf``: each ranking gives ``weight / (60 + rank)``; ``weighted``: each gives its weight times its
                score, scaled so that the best row of its ranking has 1 and the last 0.
            text_weight: what the ranking by words counts.
            vector_weight: what the ranking by distance counts.
        """
        arguments = {
            "words": words,
            "vector": vector,
            "text_column": text_column,
            "vector_column": vector_column,
            "k": k,
            "metric": metric,
            "recall": recall,
            "language": language,
            "operator": operator,
            "fusion": fusion,
            "text_weight": text_weight,
            "vector_weight": vector_weight,
        }
        return Query(self._native.search("hybrid_search", arguments, _names(columns), where))

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


def _names(columns: Sequence[str] | None) -> list[str] | None:
    return None if columns is None else [columns] if isinstance(columns, str) else list(columns)


def _sparse_text(vector: Any) -> str:
    """Write a sparse vector as the text that SQL reads."""
    if isinstance(vector, str):
        return vector
    if isinstance(vector, dict) and "indices" in vector:
        pairs = zip(vector["indices"], vector["values"], strict=True)
    elif isinstance(vector, dict):
        pairs = vector.items()
    else:
        pairs = zip(vector.indices, vector.data, strict=True)
    return "{" + ", ".join(f"{int(index)}:{float(value)!r}" for index, value in pairs) + "}"

"""The searches of a table: by distance, by words, by sparse vectors, by lists of vectors, by words and distance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trilith._native import Table as NativeTable
from trilith._vectors import VectorSearches, names
from trilith.query import Query


class Searches(VectorSearches):
    """What :class:`trilith.Table` finds rows with."""

    _native: NativeTable

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
        return Query(self._native.search("text_search", arguments, names(columns), where))

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
        return Query(self._native.search("sparse_search", arguments, names(columns), where))

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
        return Query(self._native.search("multivector_search", arguments, names(columns), where))

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
        return Query(self._native.search("hybrid_search", arguments, names(columns), where))


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

"""A lazy query: planned when it is made, run when its result is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from trilith import _arrow, _numpy, _render, _rerank
from trilith._native import ArrowBatches, ArrowSchema
from trilith._native import Query as NativeQuery
from trilith._progress import Progress, reporter

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import polars as pl
    import pyarrow as pa

Row = tuple[Any, ...]


class Query:
    """The result of :meth:`Database.sql` and :meth:`Table.scan`.

    Nothing runs until a result is asked for; each way of asking runs the query once, over the snapshot it
    was planned on. A query is itself an Arrow stream: any library that speaks the Arrow PyCapsule
    interface takes it (``polars.DataFrame(q)``, ``duckdb.sql("FROM q")``), and so does another query, by
    the name of its variable.

    >>> import trilith
    >>> db = trilith.connect(":memory:")
    >>> q = db.sql("SELECT 1 AS one, 'tea' AS kind")
    >>> q.columns
    ['one', 'kind']
    >>> q.fetchall()
    [(1, 'tea')]
    """

    __slots__ = ("_native", "_rest")

    def __init__(self, native: NativeQuery) -> None:
        """Use :meth:`Database.sql` instead."""
        self._native = native
        self._rest: Iterator[Row] | None = None

    @property
    def columns(self) -> list[str]:
        """Names of the columns, in order."""
        return self._native.schema.names

    @property
    def schema(self) -> pa.Schema | ArrowSchema:
        """Names and types of the columns: a ``pyarrow.Schema`` when pyarrow is installed."""
        return _arrow.schema(self._native.schema)

    def arrow(self, progress: Progress = None) -> pa.Table | ArrowBatches:
        """Return the whole result as a ``pyarrow.Table``.

        Without pyarrow, return an :class:`ArrowBatches`, which every Arrow library reads without a copy.
        """
        return _arrow.table(self._collect(progress))

    def pandas(self, progress: Progress = None) -> pd.DataFrame:
        """Return the whole result as a ``pandas.DataFrame``. Needs pandas and pyarrow."""
        pandas = _arrow.required("pandas", ".pandas()")
        frame: pd.DataFrame = pandas.DataFrame.from_arrow(self._collect(progress))
        return frame

    def polars(self, progress: Progress = None) -> pl.DataFrame:
        """Return the whole result as a ``polars.DataFrame``, without a copy. Needs polars."""
        polars = _arrow.required("polars", ".polars()")
        frame: pl.DataFrame = polars.DataFrame(self._collect(progress))
        return frame

    def numpy(self, progress: Progress = None) -> dict[str, np.ndarray[Any, Any]]:
        """Return one numpy array per column.

        Numbers and timestamps keep their width: shape ``(rows,)``, read-only, and over the memory of the
        result when that came in one batch. Vectors are ``(rows, d)``; lists of vectors, ``VECTOR(d)[]``, are an
        array of objects, each a view ``(n, d)`` of all of them, or None. Any other column with nulls is a
        ``numpy.ma.MaskedArray``. Text, decimals and nested values are arrays of Python objects.
        """
        return _numpy.arrays(self._collect(progress))

    def fetchall(self) -> list[Row]:
        """Return the rows that :meth:`fetchone` and :meth:`fetchmany` have not returned yet."""
        if self._rest is None:
            return self._collect(False).rows()
        return list(self._rows())

    def fetchone(self) -> Row | None:
        """Return the next row, or None after the last."""
        return next(self._rows(), None)

    def fetchmany(self, size: int = 1) -> list[Row]:
        """Return the next ``size`` rows, fewer at the end."""
        rows = self._rows()
        return [row for _, row in zip(range(size), rows, strict=False)]

    def rerank(self, score: Callable[[pa.Table], Iterable[float | None]], k: int = 10) -> pa.Table:
        """Return the ``k`` rows that a function of yours scores highest, best first, with a column ``_relevance``.

        Search for several times as many rows as are wanted, and let a slower and better judge, such as a cross-encoder,
        choose among them. Needs pyarrow.

        Args:
            score: is called once with the whole result and returns a number for each row; higher is better. Rows that
                it gives None or NaN are left out, equal ones stay in their order.
            k: the most rows to return.

        Raises:
            Invalid: there is not one number for each row, ``k`` is below 1, or the result has a ``_relevance`` already.

        >>> import trilith
        >>> db = trilith.connect(":memory:")
        >>> t = db.create_table("pages", [{"id": 1, "body": "tea tea"}, {"id": 2, "body": "green tea"}])
        >>> def length(rows):
        ...     return [len(text) for text in rows["body"].to_pylist()]
        >>> found = t.text_search("tea", k=50).rerank(length, k=1)
        >>> found["id"].to_pylist()
        [2]
        """
        return _rerank.best(self._collect(False), score, k)

    def show(self, rows: int = _render.ROWS) -> None:
        """Print the first rows as a table as wide as the terminal."""
        print(_render.text(self._native.preview(rows)))

    def count(self) -> int:
        """Run the query and return its number of rows."""
        return self._native.count()

    def explain(self, analyze: bool = False) -> str:
        """Return the plan as text. With ``analyze`` the query runs and each step shows what it cost."""
        return "\n".join(f"{kind}:\n{plan}" for kind, plan in self._native.explain(analyze).rows())

    def __iter__(self) -> Iterator[Any]:
        """Iterate over record batches while the query runs: ``pyarrow.RecordBatch``, or :class:`ArrowBatch`."""
        cursor = self._native.cursor()
        try:
            for native in cursor:
                yield _arrow.batch(native)
        finally:
            cursor.close()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Run the query as an Arrow C stream."""
        return self._native.__arrow_c_stream__(requested_schema)

    def __arrow_c_schema__(self) -> object:
        """Return the schema as an Arrow C schema; nothing runs."""
        return self._native.__arrow_c_schema__()

    def __repr__(self) -> str:
        """Show the first rows."""
        return _render.text(self._native.preview(_render.ROWS))

    def _repr_html_(self) -> str:
        return _render.page(self._native.preview(_render.ROWS))

    def _collect(self, progress: Progress) -> ArrowBatches:
        return self._native.collect(reporter(progress, "query"))

    def _rows(self) -> Iterator[Row]:
        if self._rest is None:
            cursor = self._native.cursor()
            self._rest = (row for native in cursor for row in native.rows())
        return self._rest

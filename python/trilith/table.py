"""A table: rows in and out without writing SQL."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from trilith import _arrow
from trilith._indexes import Indexes
from trilith._native import ArrowSchema
from trilith._native import Table as NativeTable
from trilith._progress import Progress, reporter
from trilith._searches import Searches
from trilith.errors import Invalid
from trilith.query import Query

if TYPE_CHECKING:
    import pyarrow as pa

Record = dict[str, Any]


class Table(Searches, Indexes):
    """One table of a :class:`Database`.

    Every read sees the newest commit; every write is one commit, durable as the database was opened.
    ``data`` is anything that holds rows: Arrow data (pyarrow, polars, pandas, duckdb, a query), a list of
    dicts, a dict of columns (lists, numpy arrays; shape ``(n, d)`` float32 is a vector column, ``(n, m, d)`` or a
    list of ``(m, d)`` one of lists of vectors), or an iterator of these, which is read as it is written.

    >>> import trilith
    >>> db = trilith.connect(":memory:")
    >>> t = db.create_table("items", {"id": "BIGINT", "price": "DOUBLE"}, primary_key="id")
    >>> t.append([{"id": 1, "price": 2.5}, {"id": 2, "price": 4.0}])
    2
    >>> t.get(2)
    {'id': 2, 'price': 4.0}
    >>> t.count("price > 3")
    1
    """

    __slots__ = ("_native", "get")

    def __init__(self, native: NativeTable) -> None:
        """Use :meth:`Database.table` instead."""
        self._native = native
        # The native method itself: a point read has no Python frame of its own to pay for.
        self.get = native.get

    @property
    def name(self) -> str:
        """The name, with its schema when that is not ``public``."""
        return self._native.name

    @property
    def columns(self) -> list[str]:
        """Names of the columns, in order."""
        return self._native.schema.names

    @property
    def primary_key(self) -> list[str]:
        """Names of the key columns, in order; empty for a table without a key."""
        return self._native.primary_key

    @property
    def schema(self) -> pa.Schema | ArrowSchema:
        """Names and types of the columns: a ``pyarrow.Schema`` when pyarrow is installed."""
        return _arrow.schema(self._native.schema)

    def append(self, data: Any, progress: Progress = None) -> int:
        """Add rows in one commit and return how many.

        Raises:
            AlreadyExists: a key is in the table already, or twice in the data.
            Invalid: a column is unknown, a type or a vector's length does not fit, a vector holds NaN.
        """
        return self._native.append(_unwrapped(data), reporter(progress, f"append {self.name}"))

    def upsert(self, data: Any, progress: Progress = None) -> int:
        """Add rows, replacing those with the same key, in one commit; return how many were written.

        Raises:
            Invalid: as :meth:`append`, or the table has no primary key.
        """
        return self._native.upsert(_unwrapped(data), reporter(progress, f"upsert {self.name}"))

    def delete(self, where: str, params: Sequence[Any] | Record | None = None) -> int:
        """Delete the rows for which the SQL condition holds and return how many."""
        return self._native.delete(where, params)

    def get_many(self, keys: Iterable[Any]) -> list[Record | None]:
        """Return the row of each key, or None where there is none, in the order of the keys."""
        return self._native.get_many(keys if hasattr(keys, "__len__") else list(keys))

    def get_range(self, key: Any, column: str, start: int = 0, length: int | None = None) -> bytes | None:
        """Return bytes of one value: of the row of ``key`` those of ``column`` from byte ``start`` on.

        A value of more than 4 KiB lies beside the rows: only its blocks of 4 KiB that hold these bytes are read.

        Args:
            key: As for :meth:`get`.
            column: A column of strings, whose UTF-8 bytes are returned, or of bytes.
            start: The first byte.
            length: How many bytes at most; to the end of the value for None.

        Returns:
            The bytes, fewer where the value ends before; None when there is no such row, or the value is null.

        Raises:
            Invalid: the column holds neither strings nor bytes, or the key is none of this table.
            NotFound: there is no such column.
        """
        return self._native.get_range(key, column, start, length)

    def scan(
        self,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        order_by: str | Sequence[str] | None = None,
        limit: int | None = None,
        params: Sequence[Any] | Record | None = None,
    ) -> Query:
        """Return a query over the table.

        Args:
            columns: names of columns; all when None.
            where: a SQL condition.
            order_by: SQL expressions, each with ASC or DESC when needed.
            limit: the most rows to return.
            params: values for ``$1`` or ``$name`` in the texts above.
        """
        if limit is not None and limit < 0:
            raise Invalid(f"limit {limit}: the most rows to return cannot be negative")
        request = {
            "columns": None if columns is None else list(columns),
            "where": where,
            "order_by": [order_by] if isinstance(order_by, str) else list(order_by or ()),
            "limit": limit,
        }
        return Query(self._native.scan(request, params))

    def count(self, where: str | None = None, params: Sequence[Any] | Record | None = None) -> int:
        """Return the number of rows, or of those for which the SQL condition holds."""
        return self._native.count(where, params)

    def stats(self) -> Record:
        """Return what the table takes on disk and in memory, and what compaction has left to do.

        The row of the table in the system table ``trilith.stats``: bytes of files and of live rows, dead rows,
        space and read amplification, and the bytes that compaction would merge next.
        """
        query = Query(self._native.stats())
        row = query.fetchone()
        return dict(zip(query.columns, row or (), strict=False))

    def changes(self, from_version: int, to_version: int | None = None) -> Query:
        """Return what the versions from ``from_version`` to ``to_version``, both included, did to the table.

        One row for each row that came, took the place of another or went, in the order of the commits, with the
        columns ``_change_type`` (``insert``, ``update``, ``delete``), ``_commit_version`` and ``_commit_timestamp``.
        The changes between two versions ``a`` and ``b`` are ``changes(a + 1, b)``. Those of versions that are no longer
        kept come together, as those of the next one that is.

        Args:
            from_version: the first version; the one before it must be kept (:meth:`Database.set_retention`).
            to_version: the last version; the newest when None.

        Raises:
            NotFound: a version is not kept, or the table was not there.
        """
        return Query(self._native.changes(from_version, to_version))

    def history(self, key: Any) -> Query:
        """Return what happened to the row of this key over all versions that are kept, oldest first.

        The columns are those of :meth:`changes`; the first row is as the oldest version has it.

        >>> import trilith
        >>> db = trilith.connect(":memory:")
        >>> db.set_retention("1 day")
        >>> t = db.create_table("items", {"id": "BIGINT", "price": "DOUBLE"}, primary_key="id")
        >>> for price in (2.5, 4.0):
        ...     _ = t.upsert([{"id": 1, "price": price}])
        >>> [row[1:3] for row in t.history(1).fetchall()]
        [(2.5, 'insert'), (4.0, 'update')]
        """
        return Query(self._native.history(key))

    def follow(self, from_version: int | None = None, interval: float = 0.05) -> Iterator[tuple[int, Query]]:
        """Yield ``(version, changes)`` for ever: what was committed since the version before.

        ``version`` is the position to go on from, also in another process, later, or in a reader beside the writer
        (``read_only=True``). The retention must cover the longest pause. ``changes`` is empty where other tables alone
        were written to.

        Args:
            from_version: the last version that was dealt with; the newest when None.
            interval: seconds between two looks while nothing is new.

        Raises:
            NotFound: a version after ``from_version`` is no longer kept.
        """
        at = self._native.version() if from_version is None else from_version
        while True:
            newest = self._native.version()
            if newest > at:
                yield newest, self.changes(at + 1, newest)
                at = newest
            else:
                time.sleep(interval)

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._native.count(None, None)

    def __contains__(self, key: object) -> bool:
        """Tell whether a row has this key."""
        return self._native.contains(key)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Read the whole table as an Arrow C stream."""
        return self.scan().__arrow_c_stream__(requested_schema)

    def __arrow_c_schema__(self) -> object:
        """Return the schema as an Arrow C schema."""
        return self._native.schema.__arrow_c_schema__()

    def __repr__(self) -> str:
        """Show the name, the number of rows and the first of them."""
        head = f"table {self.name}: {len(self):,} rows"
        return f"{head}\n{self.scan()!r}"

    def _repr_html_(self) -> str:
        return self.scan()._repr_html_()


def _unwrapped(data: Any) -> Any:
    """Hand our own queries to the native side as themselves, so that they need no Arrow stream between."""
    if isinstance(data, Query):
        return data._native
    return data.scan()._native if isinstance(data, Table) else data

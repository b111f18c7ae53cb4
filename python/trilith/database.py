"""The database: one directory, or memory, that holds tables and collections."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from types import FrameType, TracebackType
from typing import Any, Self

from trilith import _locals
from trilith._native import Database as NativeDatabase
from trilith._progress import Progress, reporter
from trilith.documents import Collection
from trilith.errors import Invalid, Unsupported
from trilith.query import Query
from trilith.table import Table, _unwrapped

IN_MEMORY = ":memory:"

Params = Sequence[Any] | Mapping[str, Any]


def connect(path: str | os.PathLike[str] = ":memory:", **options: Any) -> Database:
    """Open the database at ``path``, or make one there; see :class:`Database` for the options.

    >>> import trilith
    >>> with trilith.connect(":memory:") as db:
    ...     db.sql("SELECT 6 * 7 AS answer").fetchone()
    (42,)
    """
    return Database(path, **options)


class Database:
    """An open database. Safe to share between threads; not across ``fork``.

    Args:
        path: a directory, or ``":memory:"`` for one that is gone when it is closed.
        read_only: refuse writes and take no lock, so that another process may write.
        create: make the database when there is none at ``path``.
        durability: when a commit counts as done: ``"none"`` (kept in memory), ``"buffered"`` (survives the
            process), ``"group"`` (on disk, the default), ``"strict"`` (on disk, in a sync of its own).
        mmap: read files through a memory map.
        memory_limit: bytes that queries may hold before they spill, as a number or ``"4GB"``.
        threads: cores that a query uses; all when None.
        local_objects: let ``sql()`` find the caller's Arrow, pandas and polars variables by name.

    Raises:
        Busy: another process has the database open for writing.
        Invalid: the path holds something else, or an option is unknown.
        NotFound: nothing is there and ``create`` is False.
    """

    __slots__ = ("_local_objects", "_native", "_options")

    def __init__(
        self,
        path: str | os.PathLike[str] = ":memory:",
        *,
        read_only: bool = False,
        create: bool = True,
        durability: str = "group",
        mmap: bool = True,
        memory_limit: int | str | None = None,
        threads: int | None = None,
        local_objects: bool = True,
    ) -> None:
        """Open the database."""
        self._options = {
            "read_only": read_only,
            "create": create,
            "durability": durability,
            "mmap": mmap,
            "memory_limit": memory_limit,
            "threads": threads,
        }
        self._local_objects = local_objects
        self._native = NativeDatabase.open(os.fspath(path), self._options)

    @property
    def path(self) -> str:
        """The directory, or ``":memory:"``."""
        return self._native.path

    def sql(self, query: str, params: Params | None = None) -> Query:
        """Plan a query and return its lazy result; statements that write run at once.

        Args:
            query: SQL text. Values are best given as ``$1`` or ``$name``.
            params: a list for ``$1, $2, ...`` or a dict for ``$name``. Arrays of one dimension are vectors.

        Names in ``query`` that are no tables of the database may name variables of the caller: pyarrow,
        polars, pandas and duckdb objects, other queries, anything that speaks Arrow.

        Raises:
            Invalid: the SQL cannot be understood or a type does not fit.
            NotFound: a table or column does not exist.
        """
        return self._sql(query, params, sys._getframe(1))

    def execute(self, query: str, params: Params | None = None) -> Query:
        """Do the same as :meth:`sql`; the name that DB-API users look for."""
        return self._sql(query, params, sys._getframe(1))

    def table(self, name: str) -> Table:
        """Return a table by its name, ``"items"`` or ``"schema.items"``.

        Raises:
            NotFound: it does not exist.
        """
        return Table(self._native.table(name))

    def tables(self) -> list[str]:
        """Return the names of all tables, sorted; those outside the schema ``public`` carry theirs."""
        return self._native.tables()

    def create_table(
        self,
        name: str,
        data: Any,
        primary_key: str | Sequence[str] | None = None,
        *,
        if_not_exists: bool = False,
        replace: bool = False,
        options: Mapping[str, str] | None = None,
        progress: Progress = None,
    ) -> Table:
        """Create a table from data, or from a schema alone, and return it.

        Args:
            name: kept as it is; never a path.
            data: rows, as :class:`Table` takes them; or a schema: a ``pyarrow.Schema``, or a dict of column
                name to SQL type such as ``{"id": "BIGINT", "embedding": "VECTOR(384)"}``.
            primary_key: the column, or columns, that name a row. Without one rows cannot be upserted.
            if_not_exists: return the table that is there; ``data`` is not looked at then.
            replace: put the new table in the place of the old one.
            options: as ``WITH (...)`` of SQL takes them: ``compaction`` (leveled, tiered or fifo), ``ttl`` (such as
                ``"7 days"``) and ``ttl_column``, the column of times from which on a row lives.
            progress: a bar for long input (True), none (False), or a function of (rows, total, seconds).

        Raises:
            AlreadyExists: a table of this name is there, or two rows have one key.
            Invalid: a column has no common type, a key column is missing or null.
        """
        key = [primary_key] if isinstance(primary_key, str) else list(primary_key or ())
        if if_not_exists and replace:
            raise Invalid("if_not_exists and replace exclude each other")
        request = {
            "primary_key": key,
            "if_exists": "replace" if replace else "keep" if if_not_exists else "fail",
            "progress": reporter(progress, f"create {name}"),
            "options": dict(options or {}),
        }
        return Table(self._native.create_table(name, _unwrapped(data), request))

    def drop_table(self, name: str, *, if_exists: bool = False) -> None:
        """Drop a table and all its rows.

        Raises:
            NotFound: it does not exist and ``if_exists`` is False.
        """
        self._native.drop_table(name, if_exists)

    def collection(self, name: str) -> Collection:
        """Return a collection of documents; it is created with its first document."""
        return Collection(self._native.collection(name))

    def flush(self) -> None:
        """Write what is in memory to files. Never needed for durability."""
        self._native.flush()

    def stats(self) -> dict[str, float]:
        """Return what was counted since the database was opened, by name, as ``trilith.metrics`` has it.

        Commits, bytes logged, flushes, compactions, and the amplification of writes, reads and space. Compactions
        under way, and the last ones, are in the system table ``trilith.compactions``.
        """
        return dict(self.sql("SELECT name, value FROM trilith.metrics").fetchall())

    def close(self) -> None:
        """Close this handle; the database itself is closed with the last handle of this process on it.

        Tables, collections and queries of a closed database raise :class:`Closed`.
        """
        self._native.close()

    def __enter__(self) -> Self:
        """Return the database itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the database."""
        self.close()

    def __contains__(self, name: object) -> bool:
        """Tell whether there is a table of this name."""
        return name in self.tables()

    def __repr__(self) -> str:
        """Show the path."""
        return f"<trilith database {self.path!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as path and options: another process opens the database anew.

        Raises:
            Unsupported: the database is in memory, where another process cannot reach it.
        """
        if self.path == IN_MEMORY:
            raise Unsupported("a database in memory cannot be pickled; give it a path")
        return (_reopen, (self.path, {**self._options, "local_objects": self._local_objects}))

    def _sql(self, query: str, params: Params | None, caller: FrameType) -> Query:
        objects: dict[str, Any] = {}
        if self._local_objects and (unknown := self._native.unknown_tables(query)):
            objects = _locals.arrow_variables(unknown, caller)
        return Query(self._native.sql(query, params, {name: _unwrapped(value) for name, value in objects.items()}))


def _reopen(path: str, options: dict[str, Any]) -> Database:
    return Database(path, **options)

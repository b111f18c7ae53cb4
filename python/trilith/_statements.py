"""What a database and a transaction have in common: SQL, tables and collections."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Any

from trilith import _locals
from trilith._native import Database as NativeDatabase
from trilith._native import Transaction as NativeTransaction
from trilith.documents import Collection
from trilith.query import Query
from trilith.table import Table, _unwrapped

Params = Sequence[Any] | Mapping[str, Any]


class Statements:
    """Reads and writes by SQL and by name."""

    __slots__ = ("_local_objects", "_native")

    _native: NativeDatabase | NativeTransaction
    _local_objects: bool

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

    def collection(self, name: str) -> Collection:
        """Return a collection of documents; it is created with its first document."""
        return Collection(self._native.collection(name))

    def __contains__(self, name: object) -> bool:
        """Tell whether there is a table of this name."""
        return name in self.tables()

    def _sql(self, query: str, params: Params | None, caller: FrameType) -> Query:
        objects: dict[str, Any] = {}
        if self._local_objects and (unknown := self._native.unknown_tables(query)):
            objects = _locals.arrow_variables(unknown, caller)
        return Query(self._native.sql(query, params, {name: _unwrapped(value) for name, value in objects.items()}))

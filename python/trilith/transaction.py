"""Transactions: changes of many tables and collections that commit together, or not at all."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from trilith._native import Transaction as NativeTransaction
from trilith._statements import Statements


class Transaction(Statements):
    """A transaction under way; made by :meth:`Database.transaction`.

    It reads the database as it was when it began, with its own writes: in SQL, by key, in searches and in
    collections. As a context manager it commits at the end, and rolls back when an exception leaves the block.
    Forgotten without either, it leaves nothing. A write that fails leaves a transaction that can only be rolled back,
    wholly or to a savepoint. Tables cannot be created, altered or dropped in it.

    >>> import trilith
    >>> db = trilith.connect(":memory:")
    >>> items = db.create_table("items", {"id": "BIGINT", "price": "DOUBLE"}, primary_key="id")
    >>> with db.transaction() as tx:
    ...     _ = tx.table("items").append([{"id": 1, "price": 2.5}])
    ...     _ = tx.collection("log").insert_one({"_id": "a", "added": 1})
    ...     inside, outside = len(tx.table("items")), len(items)
    >>> inside, outside, len(items)
    (1, 0, 1)
    """

    __slots__ = ()

    _native: NativeTransaction

    def __init__(self, native: NativeTransaction, local_objects: bool) -> None:
        """Use :meth:`Database.transaction` instead."""
        self._native = native
        self._local_objects = local_objects

    def savepoint(self, name: str = "savepoint") -> Savepoint:
        """Name this point, to come back to it.

        As a context manager it takes back what was written in the block when an exception leaves it; the
        transaction goes on. A name set again hides the older one.
        """
        self._native.savepoint(name)
        return Savepoint(self._native, name)

    def commit(self) -> None:
        """Commit everything and end the transaction, before its block ends.

        Raises:
            Conflict: another commit came first; run the whole transaction again.
            Invalid: a write in it failed, or it has ended.
        """
        self._native.commit()

    def rollback(self) -> None:
        """Forget everything and end the transaction. After the end it does nothing."""
        self._native.rollback()

    @property
    def is_open(self) -> bool:
        """False once it is committed or rolled back."""
        return self._native.is_open

    @property
    def has_failed(self) -> bool:
        """True when a write failed and only a rollback is possible."""
        return self._native.has_failed

    def __enter__(self) -> Self:
        """Return the transaction itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Commit, or roll back after an exception; what was ended in the block stays as it is."""
        if kind is not None:
            self.rollback()
        elif self.is_open:
            self.commit()

    def __repr__(self) -> str:
        """Show the state."""
        state = "failed" if self.has_failed else "open" if self.is_open else "ended"
        return f"<trilith transaction, {state}>"


class Savepoint:
    """A point of a transaction; made by :meth:`Transaction.savepoint`."""

    __slots__ = ("_name", "_native")

    def __init__(self, native: NativeTransaction, name: str) -> None:
        """Use :meth:`Transaction.savepoint` instead."""
        self._native = native
        self._name = name

    def rollback(self) -> None:
        """Take back every write since; the savepoint stays, and a transaction that had failed goes on."""
        self._native.rollback_to(self._name)

    def release(self) -> None:
        """Forget the savepoint and those set after it; what was written stays."""
        self._native.release(self._name)

    def __enter__(self) -> Self:
        """Return the savepoint itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Forget the savepoint, after an exception with all that was written since."""
        if not self._native.is_open:
            return
        if kind is not None:
            self.rollback()
        self.release()

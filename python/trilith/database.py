"""The database: one directory, or memory, that holds tables and collections."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from trilith._native import Database as NativeDatabase
from trilith._native import retry_delay
from trilith._progress import Progress, reporter
from trilith.errors import Conflict, Invalid
from trilith.table import Table, _unwrapped
from trilith.transaction import Transaction
from trilith.upkeep import Upkeep

T = TypeVar("T")


def connect(path: str | os.PathLike[str] = ":memory:", **options: Any) -> Database:
    """Open the database at ``path``, or make one there; see :class:`Database` for the options.

    >>> import trilith
    >>> with trilith.connect(":memory:") as db:
    ...     db.sql("SELECT 6 * 7 AS answer").fetchone()
    (42,)
    """
    return Database(path, **options)


class Database(Upkeep):
    """An open database. Safe to share between threads; not across ``fork``.

    Each object is one connection: after ``sql("BEGIN")`` all that is done through it, and through its tables and
    collections, belongs to that transaction until ``sql("COMMIT")``, on whichever thread. Threads that want
    transactions of their own use :meth:`transaction`, or ``connect()`` again.

    Args:
        path: a directory; ``"s3://bucket/name"``, ``"gs://..."`` or ``"az://..."`` for a database on an object store,
            where the newest writer takes over from the one before; or ``":memory:"`` for one that is gone when it is
            closed.
        read_only: refuse writes and take no lock, so that another process may write.
        create: make the database when there is none at ``path``.
        durability: when a commit counts as done: ``"none"`` (kept in memory), ``"buffered"`` (survives the
            process), ``"group"`` (on disk, the default), ``"strict"`` (on disk, in a sync of its own).
        encryption_key: 32 bytes (``secrets.token_bytes(32)``), or 64 hexadecimal digits, that a new database is
            encrypted with and that opens it ever after. Whoever loses the key loses the data.
        mmap: read files through a memory map; those of an encrypted database never are.
        cache_limit: bytes kept in memory of files that are not mapped, as those of object stores, as a number or
            ``"1GB"``; 256 MiB when None.
        cache_dir: a folder of the local disk that keeps what is read of files on an object store, for later and for
            other processes, which may share it. What it holds is verified before it is used, and the folder may be
            emptied at any time; it should be writable to nobody else.
        cache_dir_limit: bytes that ``cache_dir`` may hold, as a number or ``"50GB"``; 10 GiB when None.
        memory_limit: bytes that queries may hold before they spill, as a number or ``"4GB"``.
        transaction_limit: bytes that the writes of one transaction may take, as a number or ``"1GB"``; 256 MiB when
            None.
        threads: cores that a query uses; all when None.
        storage_options: credentials, ``endpoint``, ``region`` and the like of an object store, by the names that its
            clients use; what they do not say comes from the environment (``AWS_ACCESS_KEY_ID`` ...).
        keep_removed: seconds that a file which this writer replaced stays on an object store, for snapshots of other
            processes; 300 when None.
        local_objects: let ``sql()`` find the caller's Arrow, pandas and polars variables by name.

    Raises:
        Busy: another process has the database open for writing.
        Invalid: the path holds something else, an option is unknown, or the encryption key is missing, wrong, or not
            wanted.
        NotFound: nothing is there and ``create`` is False.
    """

    __slots__ = ()

    def __init__(
        self,
        path: str | os.PathLike[str] = ":memory:",
        *,
        read_only: bool = False,
        create: bool = True,
        durability: str = "group",
        encryption_key: bytes | str | None = None,
        mmap: bool = True,
        memory_limit: int | str | None = None,
        transaction_limit: int | str | None = None,
        threads: int | None = None,
        storage_options: Mapping[str, str | int | bool] | None = None,
        cache_limit: int | str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        cache_dir_limit: int | str | None = None,
        keep_removed: float | None = None,
        local_objects: bool = True,
    ) -> None:
        """Open the database."""
        self._options = {
            "read_only": read_only,
            "create": create,
            "durability": durability,
            "mmap": mmap,
            "memory_limit": memory_limit,
            "transaction_limit": transaction_limit,
            "threads": threads,
            "storage_options": None if storage_options is None else dict(storage_options),
            "cache_limit": cache_limit,
            "cache_dir": None if cache_dir is None else os.fspath(cache_dir),
            "cache_dir_limit": cache_dir_limit,
            "keep_removed": keep_removed,
        }
        self._version = None
        self._local_objects = local_objects
        # The key is not among the options that are kept.
        self._native = NativeDatabase.open(os.fspath(path), {**self._options, "encryption_key": encryption_key})

    @property
    def path(self) -> str:
        """The directory, or ``":memory:"``."""
        return self._native.path

    def transaction(self, isolation: str = "snapshot", *, read_only: bool = False) -> Transaction:
        """Begin a transaction: reads and writes of any tables and collections that commit together.

        Args:
            isolation: ``"snapshot"``: it commits only if nobody changed a row that it writes; ``"serializable"``:
                nor added, changed or removed a row that it read or would have read.
            read_only: refuse writes; such a transaction never conflicts.

        >>> import trilith
        >>> db = trilith.connect(":memory:")
        >>> _ = db.create_table("accounts", [{"id": 1, "left": 9}, {"id": 2, "left": 0}], primary_key="id")
        >>> with db.transaction() as tx:
        ...     _ = tx.sql("UPDATE accounts SET left = left - 4 WHERE id = 1")
        ...     _ = tx.sql("UPDATE accounts SET left = left + 4 WHERE id = 2")
        >>> db.sql("SELECT left FROM accounts ORDER BY id").fetchall()
        [(5,), (4,)]
        """
        return Transaction(self._native.begin(isolation, read_only), self._local_objects)

    def transact(self, work: Callable[[Transaction], T], retries: int = 10, isolation: str = "snapshot") -> T:
        """Run ``work`` in a transaction and return what it returns; on :class:`Conflict` run it again.

        Args:
            work: gets the transaction. It may run several times, so it should have no effects outside of it.
            retries: how many more times, with pauses at random that grow up to a tenth of a second.
            isolation: as for :meth:`transaction`.

        Raises:
            Conflict: it was in conflict each time.
        """
        for attempt in range(retries):
            try:
                with self.transaction(isolation) as tx:
                    return work(tx)
            except Conflict:
                time.sleep(retry_delay(attempt))
        with self.transaction(isolation) as tx:
            return work(tx)

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

    def __repr__(self) -> str:
        """Show the path."""
        at = "" if self._version is None else f" at version {self._version}"
        return f"<trilith database {self.path!r}{at}>"

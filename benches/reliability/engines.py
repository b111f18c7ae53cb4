"""The engines, each as the same few calls: open, put a row durably, read all rows, close.

A row is a number and a text that follows from it, so a row that nobody wrote is known by its look. Every engine is
opened with the settings under which it promises that an acknowledged commit survives a power cut.
"""

from __future__ import annotations

import hashlib
import sqlite3
from typing import Protocol

Rows = dict[int, str]


class Engine(Protocol):
    """One open database."""

    def __init__(self, folder: str) -> None:
        """Open it, or make one."""

    def put(self, number: int) -> None:
        """Commit row `number` durably."""

    def rows(self) -> Rows:
        """All of them."""

    def close(self) -> None:
        """End."""


def text_of(number: int) -> str:
    """What row `number` holds: 200 characters that no other row has."""
    return "".join(hashlib.sha256(f"{number}/{part}".encode()).hexdigest() for part in range(4))[:200]


class _Trilith:
    """A table with a key; commits at `group`, the default."""

    def __init__(self, folder: str) -> None:
        import trilith

        self.db = trilith.connect(folder + "/db.tri")
        if "t" not in self.db.tables():
            self.db.create_table("t", {"id": "BIGINT", "text": "TEXT"}, primary_key="id")
        self.table = self.db.table("t")

    def put(self, number: int) -> None:
        self.table.append([{"id": number, "text": text_of(number)}])

    def rows(self) -> Rows:
        return dict(self.db.sql("SELECT id, text FROM t").fetchall())

    def close(self) -> None:
        self.db.close()


class _Sqlite:
    journal = "WAL"
    synchronous = "FULL"

    def __init__(self, folder: str) -> None:
        self.db = sqlite3.connect(folder + "/db.sqlite", isolation_level=None)
        self.db.execute(f"PRAGMA journal_mode={self.journal}")
        self.db.execute(f"PRAGMA synchronous={self.synchronous}")
        self.db.execute("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, text TEXT)")

    def put(self, number: int) -> None:
        self.db.execute("INSERT INTO t VALUES (?, ?)", (number, text_of(number)))

    def rows(self) -> Rows:
        return dict(self.db.execute("SELECT id, text FROM t").fetchall())

    def close(self) -> None:
        self.db.close()


class _SqliteWal(_Sqlite):
    """synchronous=FULL over a write-ahead log."""


class _SqliteDelete(_Sqlite):
    """synchronous=FULL over a rollback journal."""

    journal = "DELETE"


class _SqliteUnsynced(_Sqlite):
    """synchronous=OFF: the control, which has to lose rows, or the script shows nothing."""

    synchronous = "OFF"


class _DuckDB:
    """As it comes."""

    def __init__(self, folder: str) -> None:
        import duckdb

        self.db = duckdb.connect(folder + "/db.duckdb")
        self.db.execute("CREATE TABLE IF NOT EXISTS t (id BIGINT PRIMARY KEY, text VARCHAR)")

    def put(self, number: int) -> None:
        self.db.execute("INSERT INTO t VALUES (?, ?)", (number, text_of(number)))

    def rows(self) -> Rows:
        return dict(self.db.execute("SELECT id, text FROM t").fetchall())

    def close(self) -> None:
        self.db.close()


class _Lmdb:
    """As it comes: it syncs each commit, and writes by calls, not through its mapping."""

    def __init__(self, folder: str) -> None:
        import lmdb

        self.db = lmdb.open(folder + "/db.lmdb", map_size=1 << 24)

    def put(self, number: int) -> None:
        with self.db.begin(write=True) as txn:
            txn.put(b"%08d" % number, text_of(number).encode())

    def rows(self) -> Rows:
        with self.db.begin() as txn:
            return {int(key): value.decode() for key, value in txn.cursor()}

    def close(self) -> None:
        self.db.close()


class _RocksDB:
    """rocksdict; each write with sync."""

    def __init__(self, folder: str) -> None:
        import rocksdict

        self.db = rocksdict.Rdict(folder + "/db.rocks", rocksdict.Options(raw_mode=True))
        self.sync = rocksdict.WriteOptions()
        self.sync.sync = True

    def put(self, number: int) -> None:
        self.db.put(b"%08d" % number, text_of(number).encode(), write_opt=self.sync)

    def rows(self) -> Rows:
        # `items()` ends where a block is damaged, and says nothing; the iterator under it is asked.
        found, rows = self.db.iter(), {}
        found.seek_to_first()
        while found.valid():
            rows[int(found.key())] = found.value().decode()
            found.next()
        found.status()
        return rows

    def close(self) -> None:
        self.db.close()


class _LanceDB:
    """As it comes; a row is a version."""

    def __init__(self, folder: str) -> None:
        import lancedb

        db = lancedb.connect(folder + "/db.lance")
        row = {"id": 0, "text": text_of(0)}
        self.table = db.open_table("t") if "t" in db.table_names() else db.create_table("t", [row])

    def put(self, number: int) -> None:
        self.table.add([{"id": number, "text": text_of(number)}])

    def rows(self) -> Rows:
        found = self.table.to_arrow().to_pydict()
        return {number: text for number, text in zip(found["id"], found["text"], strict=True) if number > 0}

    def close(self) -> None:
        pass


ENGINES: dict[str, type[Engine]] = {
    "trilith": _Trilith,
    "sqlite-wal": _SqliteWal,
    "sqlite-delete": _SqliteDelete,
    "sqlite-unsynced": _SqliteUnsynced,
    "duckdb": _DuckDB,
    "lmdb": _Lmdb,
    "rocksdb": _RocksDB,
    "lancedb": _LanceDB,
}

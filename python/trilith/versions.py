"""Past versions of a database: reading them, what keeps them, and branches off them; and how one is pickled."""

from __future__ import annotations

import datetime
import os
from typing import Any, Self

from trilith._native import Database as NativeDatabase
from trilith._progress import Progress, reporter
from trilith._statements import Statements
from trilith.errors import Invalid, Unsupported
from trilith.query import Query


class Versions(Statements):
    """What a :class:`Database` can do with its past."""

    __slots__ = ("_options", "_version")

    _native: NativeDatabase
    _options: dict[str, Any]
    _version: int | None

    @property
    def version(self) -> int:
        """Number of the newest version: every commit, and every change of a definition, makes one."""
        return self._native.version()

    def at(
        self,
        version: int | None = None,
        *,
        timestamp: datetime.datetime | str | None = None,
        tag: str | None = None,
    ) -> Self:
        """Return the database as of an earlier version, which is only read.

        Kept are the newest version, those that :meth:`set_retention` covers, and tagged ones. What the returned
        database reads stays readable until it is closed.

        Args:
            version: its number, as :attr:`version` and the system table ``trilith.versions`` have it.
            timestamp: the newest version committed by then; without a time zone it is UTC.
            tag: a name given by :meth:`tag`.

        Raises:
            NotFound: the version is no longer kept; the message says which are, and how to keep more.

        >>> import trilith
        >>> db = trilith.connect(":memory:")
        >>> t = db.create_table("items", [{"id": 1, "kind": "tea"}], primary_key="id")
        >>> _ = db.tag("before")
        >>> _ = t.upsert([{"id": 1, "kind": "cup"}])
        >>> db.at(tag="before").table("items").get(1), t.get(1)
        ({'id': 1, 'kind': 'tea'}, {'id': 1, 'kind': 'cup'})
        """
        if sum(given is not None for given in (version, timestamp, tag)) != 1:
            raise Invalid("at() takes one of version, timestamp and tag")
        past = type(self).__new__(type(self))
        past._native = self._native.at(version, None if timestamp is None else _millis(timestamp), tag)
        past._version = past._native.version()
        past._options, past._local_objects = self._options, self._local_objects
        return past

    def tag(self, name: str) -> int:
        """Name the newest version and return its number: it can be read until the tag is dropped.

        Raises:
            AlreadyExists: a version has this name.
        """
        return self._native.create_tag(name)

    def drop_tag(self, name: str) -> None:
        """Take the name of a version away; what it alone kept leaves the disk.

        Raises:
            NotFound: no version has this name.
        """
        self._native.drop_tag(name)

    def tags(self) -> dict[str, int]:
        """Return the tags, each with its version."""
        return dict(self.sql("SELECT name, version FROM trilith.tags").fetchall())

    def versions(self) -> Query:
        """Return the versions that can be read, oldest first, with the times of their commits."""
        return self.sql("SELECT * FROM trilith.versions ORDER BY version")

    def set_retention(
        self,
        time: datetime.timedelta | str | None = None,
        versions: int | None = None,
    ) -> None:
        """Say which past versions stay readable, beside the tagged ones; by default none.

        A version that either covers is kept, with the files and the log that it needs. It is part of the database.

        Args:
            time: how long, as a ``timedelta`` or a text such as ``"7 days"``; ``"none"`` ends it.
            versions: how many before the newest; 0 ends it.
        """
        options: dict[str, str] = {}
        if isinstance(time, datetime.timedelta):
            millis = time // datetime.timedelta(milliseconds=1)
            options["retention"] = f"{millis} ms" if millis else "none"
        elif time is not None:
            options["retention"] = time
        if versions is not None:
            options["retention_versions"] = str(versions)
        self._native.set_options(options)

    def branch(self, path: str | os.PathLike[str], *, progress: Progress = None) -> dict[str, int]:
        """Make a branch: a database of its own that begins as this one is, and goes its own way from there.

        Files are shared as hard links where the file system can, so it costs next to nothing. A past version, as
        :meth:`at` returns it, is branched off as it was.

        Args:
            path: a new or empty folder.
            progress: a bar (True), none (False), or a function of (bytes done, bytes in all, seconds).

        Raises:
            Invalid: the folder holds something.
        """
        return self._native.branch(os.fspath(path), reporter(progress, "branch", "bytes"))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as path and options: another process opens the database anew.

        One on an object store is opened for reading, as its writer would be taken over from, and with the credentials
        of that process's environment.

        Raises:
            Unsupported: the database is in memory, where another process cannot reach it, or encrypted.
        """
        if self.encrypted:
            raise Unsupported("a key must not be pickled, nor an encrypted database; open it there by its path")
        path = self._native.path
        if path == ":memory:":
            raise Unsupported("a database in memory cannot be pickled; give it a path")
        options = {**self._options, "local_objects": self._local_objects}
        if "://" in path:
            options |= {"read_only": True, "storage_options": None}
        return (_reopen, (type(self), path, options, self._version))


def _reopen(kind: Any, path: str, options: dict[str, Any], version: int | None) -> Any:
    database = kind(path, **options)
    return database if version is None else database.at(version)


def _millis(moment: datetime.datetime | str) -> int:
    """Milliseconds since 1970 UTC, rounded down."""
    if isinstance(moment, str):
        try:
            moment = datetime.datetime.fromisoformat(moment)
        except ValueError as error:
            raise Invalid(f"timestamp {moment!r}: write it as '2026-01-31 12:00:00'") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return (moment - datetime.datetime.fromtimestamp(0, datetime.UTC)) // datetime.timedelta(milliseconds=1)

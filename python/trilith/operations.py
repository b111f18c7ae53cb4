"""Whole databases: restoring a backup, repairing a damaged one."""

from __future__ import annotations

import os
from typing import Any

from trilith import _native
from trilith._progress import Progress, reporter


def restore(
    backup: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    encryption_key: bytes | str | None = None,
    copy: bool = True,
    progress: Progress = None,
) -> dict[str, int]:
    """Make a database at ``path`` of a backup that :meth:`Database.backup` made, and return what it came to.

    Args:
        backup: the folder of the backup, or the file of :meth:`Database.export`; it is only read.
        path: the folder of the new database; nothing may be in it.
        encryption_key: of an encrypted backup; the new database has the same.
        copy: copy and verify every byte; False links files where the file system can.
        progress: a bar (True), none (False), or a function of (bytes done, bytes in all, seconds).

    Raises:
        Corrupt: a file of the backup is not what was written.
        Invalid: something is at ``path``.
        NotFound: there is no backup.
    """
    report = reporter(progress, "restore", "bytes")
    return _native.restore(os.fspath(backup), os.fspath(path), encryption_key, copy, report)


def repair(
    damaged: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    encryption_key: bytes | str | None = None,
) -> dict[str, Any]:
    """Make a new database at ``path`` of everything in a damaged one that still proves itself.

    The damaged folder is only read. The answer has ``rows`` and ``commits`` carried over, and ``lost``: one dict for
    each thing that was not, with ``file``, ``table``, ``rows``, ``keys``, ``commits``, ``why``, and ``certain`` False
    where nothing tells whether there was anything. What is in neither was not in the database. An encrypted database
    needs its ``encryption_key``, and stays encrypted.

    Raises:
        Corrupt: no manifest proves itself, so that nothing tells what the files mean.
        Invalid: something is at ``path``.
        NotFound: there is no database.
    """
    return _native.repair(os.fspath(damaged), os.fspath(path), encryption_key)

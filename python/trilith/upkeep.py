"""Looking after a whole database: its files on the disk, copies of it, and its key."""

from __future__ import annotations

import os

from trilith._progress import Progress, reporter
from trilith.versions import Versions


class Upkeep(Versions):
    """What keeps a :class:`Database` safe and small."""

    __slots__ = ()

    @property
    def encrypted(self) -> bool:
        """Whether the files are encrypted."""
        return self._native.encrypted

    def flush(self) -> None:
        """Write what is in memory to files. Never needed for durability."""
        self._native.flush()

    def backup(
        self,
        path: str | os.PathLike[str],
        *,
        copy: bool = False,
        progress: Progress = None,
    ) -> dict[str, int]:
        """Copy the database as of now into a folder, which is then a database itself; writers go on meanwhile.

        A second backup into the same folder brings only what is new. Ctrl-C, or an error, leaves the folder as it was.
        :func:`trilith.restore` is the way back.

        Args:
            path: a new or empty folder, or one that holds an earlier backup of this database.
            copy: copy and verify every byte; otherwise files are linked where the file system can.
            progress: a bar (True), none (False), or a function of (bytes done, bytes in all, seconds).

        Raises:
            Busy: the backup in the folder is open for writing.
            Corrupt: a file of the database is not what was written.
            Invalid: the folder holds something else.
        """
        return self._native.backup(os.fspath(path), copy, reporter(progress, "backup", "bytes"))

    def export(
        self,
        path: str | os.PathLike[str],
        *,
        replace: bool = False,
        progress: Progress = None,
    ) -> dict[str, int]:
        """Write the database as of now into one file, which ``trilith.connect`` opens for reading.

        Writers go on meanwhile. A past version, as :meth:`at` returns it, is written as it was. The file gets its name
        when it is whole and on the disk; :func:`trilith.restore` makes a database of it that is written to.

        Args:
            path: the file, such as ``"shop.trilith"``.
            replace: replace what is at ``path``; otherwise nothing may be there.
            progress: a bar (True), none (False), or a function of (bytes done, bytes in all, seconds).

        Returns:
            The last ``commit`` in it, and its ``bytes``.

        Raises:
            Corrupt: a file of the database is not what was written.
            Invalid: something is at ``path``.
        """
        return self._native.export(os.fspath(path), replace, reporter(progress, "export", "bytes"))

    def rotate_key(self, encryption_key: bytes | str) -> None:
        """Make another key the one that opens an encrypted database, at once, whatever its size.

        Files written from then on are sealed with a new data key; older ones get it as they are rewritten, all of them
        by :meth:`vacuum`. Keep the old key until this has returned, and for backups made before.

        Raises:
            Invalid: the database is not encrypted, or the key is none.
        """
        self._native.rotate_key(encryption_key)

    def vacuum(self) -> dict[str, int]:
        """Rewrite every file that holds deleted, replaced or expired rows, now, and remove files that nothing names.

        Afterwards the bytes of such rows are in no file, except where a query still reads it, or a past version that a
        tag or the retention keeps needs it. Never needed for space: compaction gives that back in time. SQL's
        ``VACUUM`` does the same and returns the same figures as a row.

        Returns:
            ``freed_bytes``, the ``bytes`` that are left, ``rewritten_files``, and ``orphans``: files that a failed
            removal had left behind.

        Raises:
            Invalid: a past version.
            Unsupported: inside a transaction.
        """
        return self._native.vacuum()

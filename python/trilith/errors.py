"""What can go wrong. Every class is a :class:`TrilithError` and the builtin one would catch anyway.

The native module raises these by name; which failure becomes which class is decided in Rust, in one table.
"""


class TrilithError(Exception):
    """Base of every error that Trilith raises on purpose. The message says what, where and what to do."""


class NotFound(TrilithError, KeyError):
    """No such table, column, file or database."""

    # KeyError shows the repr of its argument, which is right for a key and wrong for a sentence.
    __str__ = Exception.__str__


class AlreadyExists(TrilithError, ValueError):
    """A table, column or key that must be new is there already."""


class Invalid(TrilithError, ValueError):
    """The request can never succeed as it is: SQL, a type, a value, a name."""


class Conflict(TrilithError, RuntimeError):
    """Another writer came first. Run the statement, or the whole transaction, again: see ``Database.transact``."""


class Busy(TrilithError, TimeoutError):
    """Another process holds the database for writing. The message names it."""


class Corrupt(TrilithError, OSError):
    """Bytes on disk are not what was written. Nothing was returned from them."""


class Closed(TrilithError, RuntimeError):
    """The handle was closed, belongs to the process before ``fork``, or is read-only."""


class LimitExceeded(TrilithError, MemoryError):
    """A stated limit was passed: memory of a query, depth of a statement."""


class Unsupported(TrilithError, NotImplementedError):
    """Written by a newer Trilith, or a feature that this build lacks."""


class IoError(TrilithError, OSError):
    """The operating system refused: a full disk, a missing permission."""


class InternalError(TrilithError, RuntimeError):
    """A bug in Trilith. Please report it."""

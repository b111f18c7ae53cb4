"""pyarrow when it is installed, the package's own small Arrow objects when it is not."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

from trilith._native import ArrowBatch, ArrowBatches, ArrowSchema

if TYPE_CHECKING:
    import pyarrow as pa


def optional(name: str) -> ModuleType | None:
    """Return the module, or None when it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def required(name: str, method: str) -> ModuleType:
    """Return the module, or say which method needs it.

    Raises:
        ImportError: it is not installed.
    """
    module = optional(name)
    if module is None:
        raise ImportError(f"{method} needs the package {name}; install it, or use .arrow() or .fetchall()")
    return module


def batch(native: ArrowBatch) -> pa.RecordBatch | ArrowBatch:
    """Hand over one batch without a copy."""
    pyarrow: Any = optional("pyarrow")
    return native if pyarrow is None else pyarrow.record_batch(native)


def table(native: ArrowBatches) -> pa.Table | ArrowBatches:
    """Hand over a result without a copy."""
    pyarrow: Any = optional("pyarrow")
    return native if pyarrow is None else pyarrow.table(native)


def schema(native: ArrowSchema) -> pa.Schema | ArrowSchema:
    """Hand over a schema."""
    pyarrow: Any = optional("pyarrow")
    return native if pyarrow is None else pyarrow.schema(native)

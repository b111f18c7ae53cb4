"""Finds the caller's variables that a SQL text names as tables."""

from __future__ import annotations

from collections.abc import Iterable
from types import FrameType
from typing import Any


def arrow_variables(names: Iterable[str], frame: FrameType) -> dict[str, Any]:
    """Return those of ``names`` that are variables of ``frame`` and speak Arrow, with their values.

    SQL folds names to lower case unless they are quoted, so a variable is also found by its folded name.
    """
    found: dict[str, Any] = {}
    for name in names:
        for scope in (frame.f_locals, frame.f_globals):
            value = scope.get(name)
            if value is None:
                value = next((scope[other] for other in scope if other.lower() == name), None)
            if value is not None and _speaks_arrow(value):
                found[name] = value
                break
    return found


def _speaks_arrow(value: Any) -> bool:
    kind = type(value)
    return hasattr(kind, "__arrow_c_stream__") or hasattr(kind, "__arrow_c_array__")

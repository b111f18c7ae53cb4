"""A progress line for a terminal; in a log, one line when a piece of work is done."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")

WIDTH = 24
SECONDS_BETWEEN = 0.1


def track(items: Iterable[Item], label: str, total: int) -> Iterator[Item]:
    """Yield the items while showing how many of ``total`` are done."""
    live = sys.stdout.isatty()
    begin = shown = time.perf_counter()
    done = 0
    for done, item in enumerate(items, start=1):
        yield item
        now = time.perf_counter()
        if live and now - shown > SECONDS_BETWEEN:
            shown = now
            _write(f"\r  {label:<28} {_bar(done, total)} {done:>7,}/{total:,}")
    _write(f"{chr(13) if live else ''}  {label:<28} {_bar(1, 1)} {done:>7,} in {time.perf_counter() - begin:.1f} s\n")


def _bar(done: int, total: int) -> str:
    filled = min(WIDTH, WIDTH * done // max(total, 1))
    return "#" * filled + "." * (WIDTH - filled)


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()

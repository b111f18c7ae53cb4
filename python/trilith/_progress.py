"""Progress of long work: a bar on stderr, or the caller's own function."""

from __future__ import annotations

import sys
from collections.abc import Callable

Report = Callable[[int, int | None, float], None]
Progress = bool | Report | None

BAR_WIDTH = 30
QUIET_SECONDS = 0.5


def reporter(progress: Progress, what: str, unit: str = "rows") -> Report | None:
    """Turn the ``progress`` argument into a function of (rows, total or None, seconds), or of another unit.

    ``True`` shows a bar once the work has taken half a second; ``None`` does so only on a terminal.
    """
    if callable(progress):
        return progress
    shown = sys.stderr.isatty() if progress is None else progress
    return Bar(what, unit) if shown else None


class Bar:
    """One line on stderr that is rewritten as the work goes on."""

    def __init__(self, what: str, unit: str = "rows") -> None:
        """Start quietly; short work never shows."""
        self._what = what
        self._unit = unit
        self._drawn = False

    def __call__(self, rows: int, total: int | None, seconds: float) -> None:
        """Draw the line; the end is when ``rows`` reaches ``total``."""
        if seconds < QUIET_SECONDS and not self._drawn:
            return
        self._drawn = True
        end = "\n" if total is not None and rows >= total else ""
        sys.stderr.write(f"\r{self._line(rows, total, seconds)}\033[K{end}")
        sys.stderr.flush()

    def _line(self, rows: int, total: int | None, seconds: float) -> str:
        if total:
            done = min(rows / total, 1.0)
            filled = int(done * BAR_WIDTH)
            bar = f"[{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {done:4.0%}"
            return f"{self._what} {bar} {rows:,} {self._unit} {seconds:.1f} s"
        return f"{self._what} {rows:,} {self._unit} {seconds:.1f} s" if rows else f"{self._what} {seconds:.1f} s"

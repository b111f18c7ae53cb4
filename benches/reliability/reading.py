"""Opening a database in a process of its own, and what became of it."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
PATIENCE = float(os.environ.get("PATIENCE", "60"))


def child(*args: object) -> list[str]:
    """The command of a process of `child.py`."""
    return [sys.executable, "-W", "ignore", str(HERE / "child.py"), *map(str, args)]


def read(engine: str, folder: pathlib.Path) -> tuple[str, dict[int, str] | None]:
    """How it went ("read", "refused", "crashed" or "hung"), and the rows."""
    try:
        done = subprocess.run(child("read", engine, folder), capture_output=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        return "hung", None
    if done.returncode < 0 or (done.returncode and b"panicked" in done.stderr):
        return "crashed", None
    if done.returncode:
        return "refused", None
    return "read", {int(number): text for number, text in json.loads(done.stdout)}

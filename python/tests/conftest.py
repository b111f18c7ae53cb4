"""What the tests share: a database on disk, one in memory, and a Python of its own for each process test."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import trilith

Run = Callable[[str], subprocess.CompletedProcess[str]]


@pytest.fixture
def db() -> Iterator[trilith.Database]:
    with trilith.connect(":memory:") as database:
        yield database


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "test.tri")


@pytest.fixture
def run() -> Run:
    """Run a script in another process and return what it printed."""

    def script(text: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(text)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    return script

"""README.md, run as printed: each example in order, in an empty folder, with the output it shows."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import trilith

README = Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks() -> list[tuple[str, str]]:
    """Language and text of each block of code."""
    return BLOCK.findall(README.read_text(encoding="utf-8"))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with contextlib.chdir(tmp_path):
        yield tmp_path


def test_python_and_shell_examples_print_what_the_page_shows(folder: Path) -> None:
    found = blocks()
    names: dict[str, object] = {"__name__": "__main__"}
    languages = [language for language, _ in found]
    assert languages.count("python") >= 4
    assert "console" in languages
    for (language, code), (next_language, expected) in zip(found, [*found[1:], ("", "")], strict=True):
        if language == "python":
            printed = run_python(code, names)
            assert next_language == "text", f"the page shows no output for:\n{code}"
            assert printed == expected
        elif language == "console":
            run_console(code)


def test_sql_examples_run(folder: Path) -> None:
    statements = [code for language, code in blocks() if language == "sql"]
    assert statements
    with trilith.connect("sql.tri") as db:
        for code in statements:
            assert db.sql(code).count() > 0
        assert db.table("orders").count() == 1
    assert (folder / "orders.parquet").stat().st_size > 0


def run_python(code: str, names: dict[str, object]) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, README.name, "exec"), names)
    return printed.getvalue()


def run_console(text: str) -> None:
    """Run each line after `$ `, and compare what it prints when the page shows something."""
    for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE):
        words = shlex.split(command)
        assert words[0] == "trilith"
        done = subprocess.run(
            [sys.executable, "-m", *words],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, "NO_COLOR": "1"},
        )
        assert done.returncode == 0, done.stderr
        if expected:
            assert done.stdout == expected

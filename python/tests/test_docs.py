"""Examples in docstrings run, public names are documented, and the stubs are true."""

from __future__ import annotations

import doctest
import importlib
import inspect
import subprocess
import sys

import pytest

import trilith

MODULES = ["trilith", "trilith.database", "trilith.documents", "trilith.query", "trilith.table"]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    results = doctest.testmod(importlib.import_module(name))
    assert results.attempted > 0
    assert results.failed == 0


@pytest.mark.parametrize("name", trilith.__all__)
def test_public_names_are_documented(name: str) -> None:
    thing = getattr(trilith, name)
    if name == "__version__":
        return
    assert inspect.getdoc(thing)
    if inspect.isclass(thing):
        methods = [member for key, member in vars(thing).items() if not key.startswith("_") and callable(member)]
        assert all(inspect.getdoc(method) for method in methods)


def test_stubs_are_true() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "trilith._native"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stdout


def test_command() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "trilith", ":memory:", "-c", "SELECT 6 * 7 AS answer"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "42" in result.stdout

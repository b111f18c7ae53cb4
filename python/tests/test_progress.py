"""Progress of long work."""

from __future__ import annotations

import pytest

import trilith
from trilith._progress import Bar, reporter


def test_functions_are_called_to_the_end(db: trilith.Database) -> None:
    seen: list[tuple[int, int | None, float]] = []
    table = db.create_table("t", {"id": list(range(1000))}, progress=lambda *report: seen.append(report))
    assert seen[-1][:2] == (1000, 1000)
    assert len(table) == 1000


def test_an_error_of_the_function_stops_the_work(db: trilith.Database) -> None:
    def stop(*_: object) -> None:
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        db.sql("SELECT count(*) FROM generate_series(1, 1000000000000) t(x) WHERE x % 7 = 8").arrow(stop)


def test_bar(capsys: pytest.CaptureFixture[str]) -> None:
    bar = Bar("append t")
    bar(10, 100, 0.1)
    assert capsys.readouterr().err == ""
    bar(50, 100, 1.0)
    bar(100, 100, 2.0)
    shown = capsys.readouterr().err
    assert " 50%" in shown
    assert "100 rows" in shown
    assert shown.endswith("\n")


def test_no_bar_without_a_terminal() -> None:
    assert reporter(None, "x") is None
    assert reporter(False, "x") is None
    assert isinstance(reporter(True, "x"), Bar)

"""Results as a person sees them."""

from __future__ import annotations

import numpy as np
import pytest

import trilith
from trilith import _render


def test_text_is_aligned(db: trilith.Database) -> None:
    text = repr(db.sql("SELECT 1 AS id, 'tea' AS kind UNION ALL SELECT 100, NULL ORDER BY id"))
    lines = text.splitlines()
    assert lines[0].split("|")[0].strip() == "id"
    assert lines[3] == "   1 | tea" or lines[3].strip() == "1 | tea"
    assert "NULL" in lines[4]
    assert lines[-1] == "(2 rows)"
    assert len({line.index("|") for line in (lines[0], lines[1], lines[3], lines[4])}) == 1


def test_long_results_are_cut(db: trilith.Database) -> None:
    db.create_table("t", {"n": list(range(1000)), "long": ["x" * 500] * 1000})
    text = repr(db.sql("SELECT * FROM t"))
    assert "(first 20 rows)" in text
    assert max(map(len, text.splitlines())) <= 120
    assert "\u2026" in text


def test_repr_does_not_scan(db: trilith.Database) -> None:
    read = 0

    def endless():
        nonlocal read
        while True:
            read += 1
            yield {"n": [read] * 8192}

    endless_rows = trilith.connect(":memory:")
    assert endless_rows.tables() == []
    import pyarrow as pa

    schema = pa.schema({"n": pa.int64()})
    stream = pa.RecordBatchReader.from_batches(schema, (pa.record_batch(b, schema=schema) for b in endless()))
    assert "(first 20 rows)" in repr(db.sql("SELECT n FROM stream"))
    assert read < 100
    assert stream is not None


def test_narrow_terminal_hides_columns(monkeypatch: pytest.MonkeyPatch, db: trilith.Database) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    text = repr(db.sql("SELECT 'aaaaaaaaaaaaaaaa' AS a, 'bbbbbbbbbbbbbbbb' AS b, 'cccccccccccccccc' AS c"))
    assert "1 more column)" in text
    assert max(map(len, text.splitlines())) <= 40


def test_html_is_escaped(db: trilith.Database) -> None:
    page = db.sql("""SELECT '<script>alert(1)</script>' AS "<b>" """)._repr_html_()
    assert "<script" not in page
    assert "<b>" not in page
    assert "&lt;script&gt;" in page


def test_wide_characters_and_control_characters() -> None:
    preview = {"columns": [("k", "Utf8")], "rows": [["\u8336"], ["a\nb\tc"], [None]], "more": False}
    lines = _render.text(preview, 80).splitlines()
    assert lines[3].strip() == "\u8336"
    assert lines[4].strip() == "a b c"


def test_show_prints(capsys: pytest.CaptureFixture[str], db: trilith.Database) -> None:
    db.sql("SELECT 'tea' AS kind").show()
    assert "tea" in capsys.readouterr().out


def test_tables_show_their_head(db: trilith.Database) -> None:
    table = db.create_table("items", {"id": [1, 2], "v": np.zeros((2, 400), dtype=np.float32)})
    assert repr(table).startswith("table items: 2 rows\n")
    assert "<table>" in table._repr_html_()


def test_wide_columns_shrink_before_any_is_hidden(monkeypatch: pytest.MonkeyPatch, db: trilith.Database) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    text = repr(db.sql(f"SELECT 1 AS id, '{'x' * 80}' AS a, '{'y' * 80}' AS b"))
    assert "more column" not in text
    assert max(map(len, text.splitlines())) <= 60
    assert "x\u2026" in text
    assert "y\u2026" in text

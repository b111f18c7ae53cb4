"""Nothing but Python: no numpy, pyarrow, pandas or polars."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"numpy", "pyarrow", "pandas", "polars", "duckdb"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refuse())
import trilith

with trilith.connect(":memory:") as db:
    rows = [{"id": 1, "tags": ["a"], "v": 0.5}, {"id": 2, "tags": [], "v": None}]
    table = db.create_table("t", rows, primary_key="id")
    assert table.get(1) == {"id": 1, "tags": ["a"], "v": 0.5}
    table.append([{"id": 3}])
    query = db.sql("SELECT id, tags FROM t ORDER BY id")
    assert query.fetchall() == [(1, ["a"]), (2, []), (3, None)]
    result = query.arrow()
    assert isinstance(result, trilith.ArrowBatches) and len(result) == 3
    assert db.create_table("copy", result).count() == 3
    assert db.sql("SELECT count(*) FROM result").fetchone() == (3,)
    assert [len(batch) for batch in query] == [3]
    assert query.schema.names == ["id", "tags"]
    assert "id" in repr(query) and "id" in repr(query.schema) and "3" in repr(result)
    assert db.sql("SELECT $1", [7]).fetchone() == (7,)
    vectors = db.create_table("vectors", {"id": "BIGINT", "v": "VECTOR(2)"}, primary_key="id")
    vectors.append([{"id": 1, "v": [0.0, 1.0]}, {"id": 2, "v": [1.0, 0.0]}])
    assert vectors.search([0.9, 0.1], k=1).fetchone()[0] == 2
    for method, package in (("pandas", "pandas"), ("polars", "polars"), ("numpy", "numpy")):
        try:
            getattr(query, method)()
        except ImportError as error:
            assert package in str(error)
        else:
            raise AssertionError(method)
    assert not {"numpy", "pyarrow", "pandas", "polars"} & set(sys.modules)
print("bare")
"""


def test_without_any_other_package() -> None:
    result = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=False)
    assert result.stdout == "bare\n", result.stderr


def test_importing_is_light() -> None:
    script = "import sys, trilith; print({'numpy', 'pyarrow', 'pandas', 'polars'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout == "set()\n"

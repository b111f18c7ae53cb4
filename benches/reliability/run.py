"""Power cuts and flipped bits, for each engine by the same script: `run.py --cuts 40 --flips 100`.

`right`: every acknowledged row is there, and nothing that nobody wrote. `lost`: an acknowledged row is not there.
`wrong`: other rows without an error. `refused`: an error. `crashed`: a signal or a panic. `hung`: no end in a minute.
"""

from __future__ import annotations

import argparse
import pathlib
import tempfile
from importlib import metadata

from engines import ENGINES
from flips import flip_bits
from power import cut_power, tracer

PACKAGES = {"trilith": "trilith", "duckdb": "duckdb", "lmdb": "lmdb", "rocksdb": "rocksdict", "lancedb": "lancedb"}
OUTCOMES = ("right", "lost", "wrong", "refused", "crashed", "hung")


def main() -> None:
    """Run and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=40, help="power cuts of each engine and order of names")
    parser.add_argument("--flips", type=int, default=100, help="flipped bits of each engine")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engines", default=",".join(ENGINES))
    asked = parser.parse_args()
    _line("engine", "what", "trials", *OUTCOMES)
    print("|---|---|---|" + "---|" * len(OUTCOMES))
    with tempfile.TemporaryDirectory() as base:
        library = tracer(pathlib.Path(base))
        for engine in asked.engines.split(","):
            for names in ("ext4", "posix"):
                found = cut_power(engine, asked.cuts, names, asked.seed, library)
                _show(engine, f"power cut, names as {names}", "cuts", found)
            _show(engine, "flipped bit", "flips", flip_bits(engine, asked.flips, asked.seed))


def _version(engine: str) -> str:
    if engine.startswith("sqlite"):
        import sqlite3

        return f"{engine} {sqlite3.sqlite_version}"
    try:
        return f"{engine} {metadata.version(PACKAGES[engine])}"
    except metadata.PackageNotFoundError:
        return engine


def _show(engine: str, what: str, trials: str, found: dict[str, object]) -> None:
    counts = [str(found.get(outcome, 0)) for outcome in OUTCOMES]
    _line(_version(engine), what, found.get("note", found[trials]), *counts)


def _line(*cells: object) -> None:
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main()

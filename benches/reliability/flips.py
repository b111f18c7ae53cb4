"""Flipped bits: one in a copy of a closed database, read by the engine in a process of its own."""

from __future__ import annotations

import collections
import pathlib
import random
import shutil
import subprocess
import tempfile

from engines import text_of
from reading import child, read

ROWS = 350


def flip_bits(engine: str, flips: int, seed: int) -> dict[str, object]:
    """Counts of what `flips` flips came to, spread over the files by their length, each file at least a few times."""
    with tempfile.TemporaryDirectory() as base:
        home = pathlib.Path(base, "home")
        home.mkdir()
        subprocess.run(child("fill", engine, home, 1, ROWS), check=True, capture_output=True)
        truth = {number: text_of(number) for number in range(1, ROWS + 1)}
        assert read(engine, _copy(home)) == ("read", truth), engine
        files = [path for path in sorted(home.rglob("*")) if path.is_file() and path.stat().st_size > 0]
        total = sum(path.stat().st_size for path in files)
        found: collections.Counter[str] = collections.Counter(files=len(files), bytes=total)
        dice = random.Random(f"{seed}/{engine}")
        for path in files:
            share = max(2, round(flips * path.stat().st_size / total))
            for _ in range(share):
                found[_flip(engine, home, path.relative_to(home), dice, truth)] += 1
                found["flips"] += 1
        return dict(found)


def _copy(home: pathlib.Path) -> pathlib.Path:
    copy = home.parent / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(home, copy)
    return copy


def _flip(engine: str, home: pathlib.Path, name: pathlib.Path, dice: random.Random, truth: dict[int, str]) -> str:
    copy = _copy(home)
    content = bytearray((copy / name).read_bytes())
    content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
    (copy / name).write_bytes(content)
    how, rows = read(engine, copy)
    if rows is None:
        return how
    return "right" if rows == truth else "wrong"

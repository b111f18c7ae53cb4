"""Power cuts, from a recorded run of commits: what each cut may leave, opened by the engine itself."""

from __future__ import annotations

import collections
import copy
import os
import pathlib
import random
import subprocess
import tempfile

from disk import Call, Disk, read_trace
from engines import text_of
from reading import HERE, child, read

BEFORE, COMMITS = 20, 40
#: Files that the engine makes anew whenever it is opened, and reads nothing from.
REMADE = {"sqlite-wal": ("-shm",), "sqlite-unsynced": ("-shm",), "lmdb": ("lock.mdb",)}


def tracer(folder: pathlib.Path) -> pathlib.Path:
    """The recorder, compiled."""
    library = folder / "tracer.so"
    compiler = os.environ.get("CC", "cc")
    command = [compiler, "-O1", "-shared", "-fPIC", "-o", str(library), str(HERE / "tracer.c"), "-ldl"]
    subprocess.run(command, check=True)
    return library


def cut_power(engine: str, cuts: int, names: str, seed: int, library: pathlib.Path) -> dict[str, object]:
    """Counts of what `cuts` power cuts came to."""
    with tempfile.TemporaryDirectory() as base:
        home, log = pathlib.Path(base, "home"), pathlib.Path(base, "trace")
        home.mkdir()
        subprocess.run(child("fill", engine, home, 1, BEFORE), check=True, capture_output=True)
        disk = Disk(home, names)
        told = {"LD_PRELOAD": str(library), "TRACE_FOLDER": str(home), "TRACE_LOG": str(log)}
        write = child("write", engine, home, BEFORE + 1, BEFORE + COMMITS)
        subprocess.run(write, check=True, env=os.environ | told, capture_output=True)
        calls = read_trace(log)
        blind = _not_told(engine, disk, home, calls)
        if blind:
            return {"cuts": 0, "note": f"not traceable ({len(blind)} files are not what the calls made of them)"}
        return _count(engine, disk, calls, cuts, seed, pathlib.Path(base))


def _not_told(engine: str, start: Disk, home: pathlib.Path, calls: list[Call]) -> list[str]:
    """Files that the calls do not explain: the same calls on a copy of the disk must give what lies there now."""
    disk = copy.deepcopy(start)
    for call in calls:
        disk.do(call)
    strange = [call.path for call in calls if call.kind == "unknown"]
    remade = tuple(REMADE.get(engine, ()))
    return sorted({name for name in (*strange, *disk.differs_from(home)) if not name.endswith(remade)})


def _count(engine: str, disk: Disk, calls: list[Call], cuts: int, seed: int, base: pathlib.Path) -> dict[str, object]:
    dice = random.Random(f"{seed}/{engine}/{disk.names_by}")
    points = sorted(dice.randrange(len(calls) + 1) for _ in range(cuts))
    found: collections.Counter[str] = collections.Counter(calls=len(calls), cuts=cuts)
    acked, done = BEFORE, 0
    for number, point in enumerate(points):
        for call in calls[done:point]:
            acked = max(acked, int(call.data)) if call.kind == "told" else acked
            disk.do(call)
        done = point
        image = base / f"image{number}"
        fate = ("random", "dropped", "random", "kept")[number % 4]
        disk.write_image(image, dice.randrange(1 << 30), fate)
        found[judge(engine, image, acked)] += 1
    return dict(found)


def judge(engine: str, image: pathlib.Path, acked: int) -> str:
    """What the engine makes of an image, where `acked` rows were acknowledged and one more may have been on its way."""
    how, rows = read(engine, image)
    if rows is None:
        return how
    if any(number > acked + 1 or text != text_of(number) for number, text in rows.items()):
        return "wrong"
    return "right" if set(range(1, acked + 1)) <= set(rows) else "lost"

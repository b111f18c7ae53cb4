"""Recall against speed, of Trilith and of other indexes, as tables and as pictures.

    python benches/compare/curves.py FOLDER [--rows 50000] [--queries 200] [--widths 128,768] [--only trilith,usearch]

Sets: generated ones of each width, ``clustered`` and ``hard``, and those of the folder that ``TRILITH_BENCH_DATA``
names (``sets.py`` says which files count). Of each set and index: the time from vectors to searchable, bytes of a
vector on disk and in memory, the first query of a fresh process, and for each setting the recall of the nearest ten,
queries a second of one thread and of two, and the time of a query (median and 99th percentile). Then the recall at the
last setting but one after 30 % of the vectors are deleted, and of an index that was made in five parts and, where it
has files to merge, merged.

One thread asks query by query; two are given all queries at once. In FOLDER come a picture of each set and
``curves.json``.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from measure import folder, seconds
from rivals import ALL, Rival, Trilith
from sets import Set, clustered, from_files, hard

K, PARTS = 10, 5


@dataclass
class Point:
    """One setting of one index."""

    setting: float
    recall: float
    queries_per_second: float
    queries_per_second_of_two: float
    median_ms: float
    p99_ms: float


@dataclass
class Curve:
    """One index over one set."""

    name: str
    build: float
    disk_bytes: float
    memory_bytes: float
    cold_ms: float
    points: list[Point] = field(default_factory=list)
    recall_after_deletes: float | None = None
    recall_after_merges: float | None = None


def main() -> None:
    """Measure, print and draw."""
    asked = _arguments()
    wanted = [rival for rival in ALL if asked.only is None or rival.name.split()[0].lower() in asked.only]
    measured: dict[str, list[Curve]] = {}
    asked.folder.mkdir(parents=True, exist_ok=True)
    for data in _sets(asked):
        measured[data.name] = [measure(rival, data) for rival in wanted]
        show(data, measured[data.name])
        draw(data, measured[data.name], asked.folder / f"{data.name}.png")
    text = json.dumps({name: [asdict(curve) for curve in curves] for name, curves in measured.items()}, indent=1)
    (asked.folder / "curves.json").write_text(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument(
        "--widths", type=lambda text: [int(width) for width in text.split(",")], default=[128, 768, 960, 1536]
    )
    parser.add_argument("--only", type=lambda text: text.lower().split(","), help="trilith, usearch, faiss, hnswlib")
    return parser.parse_args()


def _sets(asked: argparse.Namespace) -> Any:
    home = os.environ.get("TRILITH_BENCH_DATA")
    yield from from_files(Path(home), asked.rows, asked.queries) if home else []
    for width in asked.widths:
        yield clustered(asked.rows, width, asked.queries)
        yield hard(asked.rows, width, asked.queries)


def measure(kind: type[Rival], data: Set) -> Curve:
    """Return the curve of one index over one set."""
    truth = data.nearest(K)
    with folder() as whole, folder() as parts:
        index = kind(whole)
        build = seconds(lambda: index.build([data.vectors]))
        index.close()
        cold, memory = _apart(kind, whole, data.queries)
        size = sum(path.stat().st_size for path in whole.rglob("*") if path.is_file())
        curve = Curve(kind.name, build, size / len(data.vectors), memory / len(data.vectors), 1000 * cold)
        points = [_alone(kind(whole), data, truth), _together(kind(whole, threads=2), data)]
        curve.points = [Point(**alone, queries_per_second_of_two=two) for alone, two in zip(*points, strict=True)]
        curve.recall_after_deletes = _after_deletes(kind(whole), data) if kind.deletes else None
        curve.recall_after_merges = _after_merges(kind(parts), data, truth)
    return curve


def _alone(index: Rival, data: Set, truth: np.ndarray) -> list[dict[str, float]]:
    index.open()
    points = []
    for setting in index.settings:
        index.search(data.queries, K, setting)
        taken, found = [], []
        for query in data.queries:
            begin = time.perf_counter()
            found.append(index.one(query, K, setting))
            taken.append(time.perf_counter() - begin)
        points.append(
            {
                "setting": setting,
                "recall": _recall(found, truth),
                "queries_per_second": len(taken) / sum(taken),
                "median_ms": 1000 * statistics.median(taken),
                "p99_ms": 1000 * float(np.quantile(taken, 0.99)),
            }
        )
    index.close()
    return points


def _together(index: Rival, data: Set) -> list[float]:
    index.open()
    speeds = []
    for setting in index.settings:
        index.search(data.queries, K, setting)
        taken = min(seconds(lambda setting=setting: index.search(data.queries, K, setting)) for _ in range(3))
        speeds.append(len(data.queries) / taken)
    index.close()
    return speeds


def _after_deletes(index: Rival, data: Set) -> float:
    index.open()
    kept = np.random.default_rng(3).random(len(data.vectors)) >= 0.3
    index.delete(np.flatnonzero(~kept))
    found = [index.one(query, K, index.settings[-2]) for query in data.queries]
    index.close()
    return _recall(found, data.nearest(K, kept))


def _after_merges(index: Rival, data: Set, truth: np.ndarray) -> float:
    index.build(np.array_split(data.vectors, PARTS))
    if isinstance(index, Trilith):
        index.merge()
    found = [index.one(query, K, index.settings[-2]) for query in data.queries]
    index.close()
    return _recall(found, truth)


def _recall(found: list[np.ndarray], truth: np.ndarray) -> float:
    return sum(np.isin(near, true).sum() for near, true in zip(found, truth, strict=True)) / truth.size


def _apart(kind: type[Rival], home: Path, queries: np.ndarray) -> tuple[float, float]:
    """Seconds from opening to the first answer in a fresh process, and the memory that all queries take there."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_first_query, args=(sender, kind, home, queries))
    process.start()
    sender.close()
    result = receiver.recv()
    process.join()
    return result


def _first_query(sender: Any, kind: type[Rival], home: Path, queries: np.ndarray) -> None:
    index, before = kind(home), _resident_bytes()
    begin = time.perf_counter()
    index.open()
    index.one(queries[0], K, index.settings[-2])
    taken = time.perf_counter() - begin
    for query in queries:
        index.one(query, K, index.settings[-2])
    sender.send((taken, _resident_bytes() - before))
    index.close()


def _resident_bytes() -> int:
    """Memory of this process, pages of mapped files included."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def show(data: Set, curves: list[Curve]) -> None:
    """Print what was measured of one set."""
    rows, width = data.vectors.shape
    print(f"\n## {data.name}: {rows} x {width}, {len(data.queries)} queries, load {os.getloadavg()[0]:.1f}\n")
    print(
        "| index | build | disk B | memory B | cold ms | after deletes | after merges |\n|---|---|---|---|---|---|---|"
    )
    for curve in curves:
        deletes = "-" if curve.recall_after_deletes is None else f"{curve.recall_after_deletes:.4f}"
        figures = f"{curve.build:.2f} s | {curve.disk_bytes:.0f} | {curve.memory_bytes:.0f} | {curve.cold_ms:.1f}"
        print(f"| {curve.name} | {figures} | {deletes} | {curve.recall_after_merges:.4f} |")
    print("\n| index | setting | recall | QPS, 1 thread | QPS, 2 threads | median ms | p99 ms |")
    print("|---|---|---|---|---|---|---|")
    for curve in curves:
        for at in curve.points:
            speeds = f"{at.queries_per_second:.0f} | {at.queries_per_second_of_two:.0f}"
            times = f"{at.median_ms:.2f} | {at.p99_ms:.2f}"
            print(f"| {curve.name} | {at.setting:g} | {at.recall:.4f} | {speeds} | {times} |", flush=True)


def draw(data: Set, curves: list[Curve], path: Path) -> None:
    """Draw recall against queries a second: whole lines are of one thread, dashed ones of two."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
    for at, curve in enumerate(curves):
        recalls = [point.recall for point in curve.points]
        for speeds, style, label in (
            ([point.queries_per_second for point in curve.points], "-", curve.name),
            ([point.queries_per_second_of_two for point in curve.points], "--", None),
        ):
            axes.plot(recalls, speeds, style, color=f"C{at}", marker="o", markersize=4, label=label)
    rows, width = data.vectors.shape
    axes.set(title=f"{data.name}: {rows} x {width}", xlabel=f"recall@{K}", ylabel="queries a second", yscale="log")
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend(title="1 thread; dashed: 2")
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


if __name__ == "__main__":
    main()

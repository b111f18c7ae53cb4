"""How every comparison here is measured and printed.

Sides take turns (A B A B ...), so that a noisy neighbour hits both; medians are compared, and the
ratio of each round gives the spread. Answers are compared before any time is believed. Each printed
line names the durability it was measured at.
"""

from __future__ import annotations

import multiprocessing
import os
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROUNDS = int(os.environ.get("ROUNDS", "7"))
HEADER = "| what | durability | Trilith | peer | ratio (least to most) | goal | met |\n|---|---|---|---|---|---|---|"


@dataclass(frozen=True)
class Pair:
    """Figures of both sides, round by round; seconds, or any unit where less is better."""

    ours: list[float]
    theirs: list[float]

    @property
    def ratio(self) -> float:
        """Our median over theirs: below 1 we are faster."""
        return statistics.median(self.ours) / statistics.median(self.theirs)

    @property
    def spread(self) -> tuple[float, float]:
        """Least and greatest ratio of one round."""
        ratios = [ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True)]
        return min(ratios), max(ratios)


def take_turns(ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int = ROUNDS) -> Pair:
    """Time both sides by turns, after one untimed turn each."""
    ours(), theirs()
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(rounds)]
    return Pair([pair[0] for pair in pairs], [pair[1] for pair in pairs])


def seconds(work: Callable[[], Any]) -> float:
    """Wall time of one call."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def apart(work: Callable[..., float], *arguments: Any) -> tuple[float, float]:
    """Run ``work`` in a fresh process; return the seconds it reports and the peak memory in MB that it added."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_report, args=(sender, work, arguments))
    process.start()
    sender.close()
    result = receiver.recv()
    process.join()
    return result


def _report(sender: Any, work: Callable[..., float], arguments: tuple[Any, ...]) -> None:
    taken = work(*arguments)
    sender.send((taken, peak_memory_mb()))


def peak_memory_mb() -> float:
    """Peak resident memory of this process."""
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


@contextmanager
def folder() -> Iterator[Path]:
    """A folder for databases on a real disk: set BENCH_DIR when the default is held in memory."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR"), prefix="trilith-bench-") as path:
        yield Path(path)


def line(what: str, durability: str, ours: str, theirs: str, pair: Pair | None, goal: str, met: bool) -> str:
    """One row of the table under :data:`HEADER`."""
    ratio = "" if pair is None else f"{pair.ratio:.2f} ({pair.spread[0]:.2f} to {pair.spread[1]:.2f})"
    return f"| {what} | {durability} | {ours} | {theirs} | {ratio} | {goal} | {'yes' if met else 'NO'} |"


def show(*rows: str) -> None:
    """Print rows under their header, with what else the machine was doing."""
    load = os.getloadavg()[0]
    print(f"{HEADER}\n" + "\n".join(rows) + f"\n\n{os.cpu_count()} cores, load {load:.1f}, {ROUNDS} rounds", flush=True)


def agree(ours: Any, theirs: Any) -> None:
    """Stop when two sides do not give the same answer."""
    if ours != theirs:
        raise SystemExit(f"the answers differ:\n  ours:   {str(ours)[:400]}\n  theirs: {str(theirs)[:400]}")

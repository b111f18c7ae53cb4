"""Runs every comparison, each in a process of its own, one after the other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

COMPARISONS = (
    "append",
    "scan",
    "updated",
    "get",
    "commit",
    "batches",
    "knn",
    "search",
    "filtered",
    "churn",
    "nearest",
    "groups",
    "text",
    "sparse",
    "multivector",
    "open",
)


def main() -> int:
    """Run those named on the command line, or all; return how many failed."""
    failed = 0
    for name in sys.argv[1:] or COMPARISONS:
        print(f"\n## {name}\n", flush=True)
        failed += subprocess.run([sys.executable, Path(__file__).with_name(f"{name}.py")], check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())

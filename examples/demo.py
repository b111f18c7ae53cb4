"""Indexes Python's standard library in Trilith and asks it questions.

python examples/demo.py                                  build the index, ask five questions, kill a writer
python examples/demo.py "parse a date from text"         ask the index a question of your own
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from stdlib_index import build, crash, questions

import trilith


def main() -> int:
    """Run the demo and return its exit status."""
    options = _options()
    if options.question and _is_indexed(options.path):
        with trilith.connect(options.path) as db:
            questions.ask_in_words(db, options.question)
        return 0
    begin = time.perf_counter()
    print(f"Indexing the standard library of Python {sys.version.split()[0]} into {options.path}\n")
    with trilith.connect(options.path) as db:
        build.build(db, options.quick)
        questions.ask_all(db)
        if options.question:
            questions.ask_in_words(db, options.question, "Your question: ")
    print("\n6. Durability: a second process writes to the same database and is killed (SIGKILL) in mid-commit")
    kept = crash.kill_and_verify(options.path)
    _show_files(Path(options.path))
    _show_next(options.path)
    print(f"\nDone in {time.perf_counter() - begin:.1f} s.")
    return 0 if kept else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Index Python's standard library and ask it questions.")
    parser.add_argument("question", nargs="?", help="a question in plain words; reuses the index when it is there")
    parser.add_argument("--path", default="demo.tri", help="the database (default: demo.tri)")
    parser.add_argument("--quick", action="store_true", help="index a few packages only")
    return parser.parse_args()


def _is_indexed(path: str) -> bool:
    if not Path(path).exists():
        return False
    with trilith.connect(path, read_only=True) as db:
        return set(crash.TABLES) <= set(db.tables())


def _show_files(path: Path) -> None:
    files = sorted(file for file in path.rglob("*") if file.is_file())
    total = sum(file.stat().st_size for file in files)
    print(f"\nThe database is the folder {path}: {len(files)} files, {total / 1e6:.1f} MB")
    folders: dict[str, list[int]] = {}
    for file in files:
        folders.setdefault(str(file.relative_to(path).parent), []).append(file.stat().st_size)
    for folder, sizes in sorted(folders.items()):
        print(f"   {folder + '/':<12} {len(sizes):>4} files {sum(sizes) / 1e6:>9.2f} MB")


def _show_next(path: str) -> None:
    print(
        f"""
Where to go next
   ask in your own words   {sys.executable} examples/demo.py "parse a date from text"
   type SQL                {sys.executable} -m trilith {path}
   verify every byte       {sys.executable} -m trilith check {path}
   read                    README.md, then src/ARCHITECTURE.md"""
    )


if __name__ == "__main__":
    sys.exit(main())

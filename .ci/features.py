"""Checks that tests and the Python extension ask for the same features of every registry crate.

Otherwise cargo compiles that crate, and all that stand on it, once for each. The cure is a line
under "Named for their features alone" in Cargo.toml. Asks `cargo tree` only; nothing is compiled.
"""

import collections
import subprocess
import sys

TESTS = ["-p", "trilith-engine", "-p", "trilith-udfs", "-p", "trilith", "-e", "all"]
EXTENSION = ["-p", "trilith-python", "-e", "normal,build"]


def features(selection: list[str]) -> dict[str, set[str]]:
    """Each registry crate of a selection, with the feature lists it is compiled with."""
    command = ["cargo", "tree", "--locked", "--prefix", "none", "--format", "{p}|{f}", *selection]
    tree = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found = collections.defaultdict(set)
    for line in tree.splitlines():
        crate, bar, enabled = line.removesuffix(" (*)").partition("|")
        if bar and "(/" not in crate:
            found[crate.removesuffix(" (proc-macro)")].add(enabled)
    return found


def differences(left: dict[str, set[str]], right: dict[str, set[str]]) -> list[str]:
    """What the two selections compile differently, as lines for a person."""
    return [
        f"  {crate}: tests {sorted(left[crate])}, extension {sorted(right[crate])}"
        for crate in sorted(left.keys() & right.keys())
        if left[crate] != right[crate]
    ]


def main() -> None:
    """Prints the differences and fails when there are any."""
    lines = differences(features(TESTS), features(EXTENSION))
    if lines:
        sys.exit("These crates would be compiled twice:\n" + "\n".join(lines))
    print("tests and extension share one feature set")


if __name__ == "__main__":
    main()

"""The ``trilith`` command: ``python -m trilith`` and the console script of the same name."""

import sys

from trilith._native import shell


def main() -> None:
    """Run the shell on the command line and leave with its exit status."""
    sys.exit(shell(sys.argv))


if __name__ == "__main__":
    main()

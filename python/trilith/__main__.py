"""The ``trilith`` command: ``python -m trilith`` and the console script of the same name."""

import signal
import sys

from trilith._native import shell


def main() -> None:
    """Run the shell on the command line and leave with its exit status."""
    # While the shell runs no Python code does, so Python's own handler would never be called.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(shell(sys.argv))


if __name__ == "__main__":
    main()

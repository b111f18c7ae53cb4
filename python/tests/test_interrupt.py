"""Ctrl-C ends a statement of the shell, however busy it keeps the machine."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

# Every worker counts for hours and looks up only now and then.
BUSY = "SELECT sum(x * y) FROM generate_series(1, 1000000000) a(x), generate_series(1, 1000) b(y)"


def test_a_busy_statement_is_stopped() -> None:
    command = [sys.executable, "-m", "trilith", ":memory:", "-c", "SELECT 'ready'", "-c", BUSY]
    shell = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert shell.stdout is not None
        while "ready" not in shell.stdout.readline():
            assert shell.poll() is None
        time.sleep(1)
        shell.send_signal(signal.SIGINT)
        _, errors = shell.communicate(timeout=60)
    finally:
        shell.kill()
    assert shell.returncode == 1
    assert "stopped by Ctrl-C" in errors

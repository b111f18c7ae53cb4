"""What runs in a process of its own.

`fill ENGINE FOLDER FIRST LAST` commits rows and closes; `write` does not close; `read ENGINE FOLDER` tells the rows.
"""

from __future__ import annotations

import json
import os
import sys

from engines import ENGINES


def main(what: str, engine: str, folder: str, *range_: str) -> None:
    """Do it."""
    db = ENGINES[engine](folder)
    if what == "read":
        os.write(1, json.dumps(sorted(db.rows().items())).encode())
        os._exit(0)
    first, last = map(int, range_)
    for number in range(first, last + 1):
        db.put(number)
        os.write(1, b"%d\n" % number)
    if what == "fill":
        db.close()
    # A writer ends as by `kill -9`: nothing is tidied up.
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Work of processes that nobody waits for; the module imports little, since each of them imports it."""

import os
import time
from pathlib import Path

from ahs_seg.io.folder_lock import locked

SECONDS = 300
"""Time that the work takes."""


def held(folder: Path, number: int) -> int:
    """Process 1 fails; the others hold a lock for long."""
    if number == 1:
        raise LookupError("no room on GPU 1")
    with locked(folder / str(number)):
        (folder / f"{number}.held").touch()
        time.sleep(SECONDS)
    return number


def killed(number: int) -> int:
    if number == 1:
        os._exit(9)
    time.sleep(SECONDS)
    return number

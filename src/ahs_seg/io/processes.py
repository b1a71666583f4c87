"""The largest number of worker processes that a command starts."""

from __future__ import annotations

from typing import Final

from ahs_seg.errors import AhsSegError
from ahs_seg.io.cores import available_cores

MAX_PROCESSES: Final = 256
"""Each process takes hundreds of megabytes; more than this on one machine is a slip of the keyboard."""


class ProcessCountError(AhsSegError, ValueError):
    """A number of processes is not allowed; the message names the allowed range."""


def check_processes(count: int, name: str) -> int:
    """The number of processes, which is in the allowed range; `name` is what the user calls it.

    Raises:
        ProcessCountError: it is below 1 or above `MAX_PROCESSES`.
    """
    if not 1 <= count <= MAX_PROCESSES:
        raise ProcessCountError(
            f"{name}: {count} is not allowed; give 1 to {MAX_PROCESSES}. There are {available_cores()} cores here, and "
            "more processes than cores are slower."
        )
    return count

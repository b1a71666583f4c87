"""Processes that a command starts: how many are allowed, and how they end with each other and with the command."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Final, TypeVar

from ahs_seg.errors import AhsSegError
from ahs_seg.io.cores import available_cores

MAX_PROCESSES: Final = 256
"""Each process takes hundreds of megabytes; more than this on one machine is a slip of the keyboard."""

R = TypeVar("R")


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


def run_in_processes(work: Callable[[int], R], count: int) -> list[R]:
    """Results of `work(0)` to `work(count - 1)`, each computed in a process of its own.

    The first one that fails, or an interruption, ends the others. All end with this process, even if it is killed.

    Raises:
        BrokenProcessPool: a process was killed.
        Exception: the first error of `work`.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, context, initializer=end_with_parent) as pool:
        calls = [pool.submit(work, number) for number in range(count)]
        # Each call starts a process after it has woken the pool; woken once more, the pool watches the last one, too.
        pool.submit(int).cancel()
        try:
            for call in as_completed(calls):
                call.result()
        except BaseException:
            for process in list(pool._processes.values()):  # `terminate_workers` is there from Python 3.14 on
                process.terminate()
            raise
    return [call.result() for call in calls]


def end_with_parent() -> None:
    """End this process of `multiprocessing` as soon as the one that started it has ended."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)

"""How much memory something takes, measured in a process of its own."""

from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Callable
from multiprocessing.connection import Connection


def peak_bytes(work: Callable[[], object]) -> int:
    """By how many bytes `work` raises the peak memory of a process that has done nothing else (a forked child)."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=_measured, args=(work, sender))
    child.start()
    sender.close()
    try:
        outcome = receiver.recv()
    finally:
        child.join()
    if isinstance(outcome, str):
        raise AssertionError(outcome)
    return int(outcome)


def _measured(work: Callable[[], object], sender: Connection) -> None:
    try:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        work()
        sender.send(1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))
    except BaseException as error:
        sender.send(repr(error))
        raise

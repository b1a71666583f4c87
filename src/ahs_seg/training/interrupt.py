"""Ctrl-C during training: the first one asks the loop to stop after its step, the second one ends it at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class StopRequest:
    """Whether somebody asked this process to stop."""

    requested: bool = False


@contextmanager
def stopping_on_interrupt(say: Callable[[str], None]) -> Iterator[StopRequest]:
    """Context in which the first Ctrl-C makes a request instead of an exception; `say` tells the user.

    Outside the main thread, and where a program handles Ctrl-C in its own way, nothing is changed.
    """
    request = StopRequest()
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield request
        return

    def ask(_number: int, _frame: FrameType | None) -> None:
        request.requested = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        say("Ctrl-C: finishing this step and writing a checkpoint; another Ctrl-C ends at once")

    signal.signal(signal.SIGINT, ask)
    try:
        yield request
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def ignore_interrupts(_worker: int) -> None:
    """Leave Ctrl-C to the main process: the initialisation of a process that loads images."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

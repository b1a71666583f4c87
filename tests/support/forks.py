"""A call in a child of this process, which has imported everything; a process of its own takes seconds for that."""

from __future__ import annotations

import gc
import multiprocessing
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from weakref import WeakSet

import torch

CAN_TRAIN = not torch.cuda.is_available()
"""Whether such a child can train: autograd has threads for GPUs, which a child does not inherit."""
_STARTED: WeakSet[BaseProcess] = WeakSet()


def forked(call: Callable[[], object]) -> BaseProcess:
    """The started child; what it changes, such as attributes of modules, is changed in the child alone."""
    process = multiprocessing.get_context("fork").Process(target=_alone, args=(call,))
    gc.disable()  # the child must not free what waits for threads of the parent, such as a scaler of FFmpeg
    try:
        process.start()
    finally:
        gc.enable()
    _STARTED.add(process)
    return process


def kill_what_is_left() -> None:
    """Kill the children that failed tests have left: this process would wait for them when it ends, for ever."""
    for process in list(_STARTED):
        process.kill()


def _alone(call: Callable[[], object]) -> None:
    gc.freeze()  # all that the parent had
    gc.enable()
    call()

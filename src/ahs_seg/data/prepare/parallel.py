"""Parallel map over items in worker processes, with ordered results and a progress bar."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Final, TypeVar

from ahs_seg.io.cores import available_cores
from ahs_seg.io.processes import check_processes, end_with_parent
from ahs_seg.io.progress import ProgressBar

_WORTH_A_PROCESS: Final = 100
"""Number of items per worker below which starting a process takes longer than it saves."""

T = TypeVar("T")
R = TypeVar("R")


def run_parallel(
    work: Callable[[T], R], items: Sequence[T], *, description: str, workers: int | None = None, progress: bool = True
) -> Iterator[R]:
    """Results of `work` in the order of the items; `workers` is the number of processes (default: up to one per core).

    Processes are used because Pillow holds the GIL while encoding. Workers end with their parent process, even if it is
    killed.
    """
    track = ProgressBar(description, shown=progress)
    if workers is not None:
        check_processes(workers, "workers")
    count = workers or min(available_cores(), 1 + len(items) // _WORTH_A_PROCESS)
    if count == 1:
        for item in track(items):
            yield work(item)
        return
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), initializer=end_with_parent) as pool:
        results = pool.map(work, items, chunksize=8)
        for _, result in zip(track(items), results, strict=True):
            yield result

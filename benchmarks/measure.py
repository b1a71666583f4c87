"""Wall time and additional peak memory of one call; calls in a process of their own."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Measurement:
    """Wall seconds, and peak resident memory minus that before the call, in MiB."""

    seconds: float
    peak_mib: float


def measure(call: Callable[[], object]) -> Measurement:
    """Time and peak memory of one call (Linux with glibc only).

    Before the call, freed memory that the allocator kept is returned, and the kernel's peak value is reset: otherwise a
    second call would seem to need no memory. The pages must then be mapped again, which costs the side with large
    tensors most: times of this function favour the economical side (`benchmarks.protocol` shows by how much).
    """
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    before = resident_mib("VmRSS")
    reset_peak()
    began = time.perf_counter()
    result = call()
    seconds = time.perf_counter() - began
    peak = resident_mib("VmHWM")
    del result
    return Measurement(seconds, max(0.0, peak - before))


def resident_mib(key: str) -> float:
    """Resident memory of this process: `VmRSS` is that of now, `VmHWM` the peak."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(next(line for line in status.splitlines() if line.startswith(key)).split()[1]) / 1024


def reset_peak() -> None:
    """Begin the peak of resident memory anew."""
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


def in_own_process(work: Callable[P, R], *args: P.args, **options: P.kwargs) -> R:
    """The result of a call in a new process, whose peak of memory is its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *args, **options).result()

"""Wall time and additional peak memory of one call."""

from __future__ import annotations

import ctypes
import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


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
    before = _resident("VmRSS")
    _CLEAR.write_text("5")
    began = time.perf_counter()
    result = call()
    seconds = time.perf_counter() - began
    peak = _resident("VmHWM")
    del result
    return Measurement(seconds, max(0.0, (peak - before) / 1024))


def _resident(key: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(key))
    return int(line.split()[1])

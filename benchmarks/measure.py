"""Measuring one call: seconds, and peak memory beyond what was there before it."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Measurement:
    """Wall seconds and mebibytes of resident memory at the peak, beyond the start."""

    seconds: float
    peak_mib: float


def measure(call: Callable[[], object]) -> Measurement:
    """Run `call` once (Linux only: the kernel's high-water mark is reset before)."""
    gc.collect()
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

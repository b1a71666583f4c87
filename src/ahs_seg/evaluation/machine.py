"""What a machine can do: matrix products per library and numeric type, copies, and settings of the C allocator."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from ahs_seg.io.precision import has_instructions

ALLOCATORS: Final[dict[str, dict[str, str]]] = {
    "default": {},
    "keeping": {
        "MALLOC_MMAP_THRESHOLD_": "4294967296",
        "MALLOC_TRIM_THRESHOLD_": "8589934592",
        "MALLOC_TOP_PAD_": "268435456",
    },
}
"""Environment of both settings of glibc. By default large tensors are given back to the system when they are freed, and
cost page faults when they are made again; `keeping` keeps freed memory. Other allocators ignore the variables."""

_GIGA: Final = 1e9


def in_turns(calls: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each call; the calls take turns, after one turn that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            if number:
                seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in seconds.items()}


def machine_limits(*, side: int = 1024, rounds: int = 3, device: torch.device | None = None) -> dict[str, float]:
    """GFLOP/s of square matrix products per library, and GB/s of a copy (bytes read and written), with these threads.

    "fp32, BLAS" is `torch.mm` (MKL or OpenBLAS on a CPU); "fp32, oneDNN" the same product as a 1x1 convolution, which
    PyTorch gives to oneDNN. bf16 and fp16 are measured where the device has instructions for them.
    """
    device = device or torch.device("cpu")
    left, right = torch.rand(side, side, device=device), torch.rand(side, side, device=device)
    pixels, kernel = left.T.reshape(1, side, side, 1), right.T.reshape(side, side, 1, 1)
    pixels = pixels.contiguous(memory_format=torch.channels_last)
    source, target = (torch.rand(16 * 2**20, device=device) for _ in range(2))
    calls: dict[str, Callable[[], object]] = {
        "fp32, BLAS": _finished(lambda: left @ right, device),
        "fp32, oneDNN": _finished(lambda: F.conv2d(pixels, kernel), device),
        "copy": _finished(lambda: target.copy_(source), device),
    }
    for name, dtype in (("bf16", torch.bfloat16), ("fp16", torch.float16)):
        if has_instructions(dtype, device):
            calls[name] = _product(left.to(dtype), right.to(dtype), device)
    seconds = in_turns(calls, rounds)
    rates = {name: 2 * side**3 / _GIGA / value for name, value in seconds.items() if name != "copy"}
    copied = 2 * source.numel() * source.element_size()
    return {**rates, "copy": copied / _GIGA / seconds["copy"]}


def _product(left: Tensor, right: Tensor, device: torch.device) -> Callable[[], object]:
    return _finished(lambda: left @ right, device)


def _finished(call: Callable[[], object], device: torch.device) -> Callable[[], object]:
    """The call, and the wait for its end on a GPU."""

    def run() -> object:
        result = call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return result

    return run


def best_product(limits: Mapping[str, float], dtype: str) -> float:
    """GFLOP/s of the fastest matrix product of a numeric type, among what `machine_limits` found."""
    rates: Sequence[float] = [rate for name, rate in limits.items() if name != "copy" and name.startswith(dtype)]
    return max(rates, default=max(rate for name, rate in limits.items() if name != "copy"))

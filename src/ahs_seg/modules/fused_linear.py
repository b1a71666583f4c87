"""A linear layer with bias, activation and residual in one pass, by oneDNN with packed weights where that is faster.

PyTorch computes `F.linear` in fp32 with its BLAS (on x86 MKL, which is at its best on Intel), writes the bias before
the product and reads the result again for an activation or a residual. oneDNN does all of it in one pass, from weights
that are reordered once. Which of both is faster depends on processor and shape, so that it is measured.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Activation = Literal["none", "gelu", "relu"]

SMALLEST: Final = 2**24
"""Multiplications of a product below which `F.linear` is used without a test: calls cost more than they save."""
TOLERANCE: Final = 1e-4
"""Largest difference from `F.linear`, relative to its largest value, with which packed weights are used."""
MARGIN: Final = 0.95
"""Packed weights are used if they take at most this share of the time of `F.linear`."""
_ROUNDS: Final = 5
_TESTED: Final = 2**26
"""Multiplications of a product of the self-test, about a millisecond."""


@dataclass(frozen=True, slots=True)
class Case:
    """What decides which way is faster: sizes, what follows the product, and the number of threads."""

    rows: int
    inputs: int
    outputs: int
    activation: Activation
    residual: bool
    threads: int


_faster: dict[Case, bool] = {}
_lock = threading.Lock()


class FusedLinear:
    """Computes activation(rows weight^T + bias) + residual for fp32 rows on the CPU, without gradients.

    The weights are packed at the first call that the self-test (`packed_is_faster`) sends to oneDNN, as a second copy.
    """

    def __init__(self, weight: Float[Tensor, "o i"], bias: Float[Tensor, " o"] | None) -> None:
        self.weight = weight
        self.bias = bias
        self._packed: Tensor | None = None

    @property
    def packed_bytes(self) -> int:
        """Memory of the packed weights."""
        return 0 if self._packed is None else self.weight.nbytes

    def __call__(
        self,
        rows: Float[Tensor, "n i"],
        *,
        activation: Activation = "none",
        residual: Float[Tensor, "n o"] | None = None,
    ) -> Float[Tensor, "n o"]:
        """The output of the layer for every row, in new memory."""
        if not packed_is_faster(len(rows), self.weight, activation, residual=residual is not None):
            return plain(rows, self.weight, self.bias, activation, residual)
        packed = self._packed
        if packed is None:
            packed = self._packed = _pack(self.weight, len(rows))
        return _run(rows, packed, self.bias, activation, residual)


def packed_is_faster(rows: int, weight: Float[Tensor, "o i"], activation: Activation, *, residual: bool) -> bool:
    """Whether a layer of this size is faster with packed weights on this machine, equal to `TOLERANCE`.

    Measured once per process for every `Case` (about 20 ms), so that all layers and models of a process choose alike.
    """
    outputs, inputs = weight.shape
    if rows * inputs * outputs < SMALLEST:
        return False
    tested = min(_power_of_two(rows), max(64, _power_of_two(_TESTED // (inputs * outputs))))
    case = Case(tested, inputs, outputs, activation, residual, torch.get_num_threads())
    with _lock:
        if case not in _faster:
            _faster[case] = _measure(case)
        return _faster[case]


def choices() -> dict[Case, bool]:
    """What this process has measured so far: for every case, whether packed weights are used."""
    with _lock:
        return dict(_faster)


def plain(
    rows: Float[Tensor, "n i"],
    weight: Float[Tensor, "o i"],
    bias: Float[Tensor, " o"] | None,
    activation: Activation,
    residual: Float[Tensor, "n o"] | None,
) -> Float[Tensor, "n o"]:
    """The same by `F.linear`."""
    result = F.linear(rows, weight, bias)
    if activation == "gelu":
        result = F.gelu(result)
    elif activation == "relu":
        result = F.relu_(result)
    return result if residual is None else result.add_(residual)


def _measure(case: Case) -> bool:
    """The self-test; False also where PyTorch was built without the operators, or they refuse."""
    if not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")):
        return False
    drawn = torch.Generator().manual_seed(0)
    rows, weight, bias, added = (
        torch.randn(shape, generator=drawn)
        for shape in ((case.rows, case.inputs), (case.outputs, case.inputs), (case.outputs,), (case.rows, case.outputs))
    )
    residual = added if case.residual else None
    expected = plain(rows, weight, bias, case.activation, residual)
    try:
        packed = _pack(weight, case.rows)
        found = _run(rows, packed, bias, case.activation, residual)
    except (RuntimeError, NotImplementedError):  # built for another processor, or other arguments in another version
        return False
    if not bool((found - expected).abs().max() <= TOLERANCE * expected.abs().max()):
        return False
    best = _best_times(
        lambda: plain(rows, weight, bias, case.activation, residual),
        lambda: _run(rows, packed, bias, case.activation, residual),
    )
    return best[1] <= MARGIN * best[0]


def _best_times(*ways: Callable[[], Tensor]) -> list[float]:
    """The shortest time of every way, in turns: other programs make times longer, never shorter.

    With one thread it is the processor time of this thread, in which the time of other programs does not count.
    """
    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    best = [float("inf")] * len(ways)
    for _ in range(_ROUNDS):
        for index, way in enumerate(ways):
            began = clock()
            way()
            best[index] = min(best[index], clock() - began)
    return best


def _pack(weight: Tensor, rows: int) -> Tensor:
    operators: Any = torch.ops.mkldnn
    packed: Tensor = operators._reorder_linear_weight(weight.detach().contiguous(), rows)
    return packed


def _run(rows: Tensor, packed: Tensor, bias: Tensor | None, activation: Activation, residual: Tensor | None) -> Tensor:
    operators: Any = torch.ops.mkldnn
    if residual is not None and activation == "none":
        result: Tensor = operators._linear_pointwise.binary(rows, residual, packed, bias, "add")
        return result
    result = operators._linear_pointwise(rows, packed, bias, activation, [], "none" if activation == "gelu" else "")
    return result if residual is None else result.add_(residual)


def _power_of_two(value: int) -> int:
    """The largest power of two that is not above the value; 1 for 0."""
    return 1 << max(0, value.bit_length() - 1)

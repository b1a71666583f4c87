"""Networks built without values, for weights that come from a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

_DRAWING: Final = frozenset(
    [
        "bernoulli_",
        "constant_",
        "fill_",
        "kaiming_normal_",
        "kaiming_uniform_",
        "normal_",
        "ones_",
        "trunc_normal_",
        "uniform_",
        "xavier_normal_",
        "xavier_uniform_",
        "zero_",
        "zeros_",
    ]
)


class _Unfilled(TorchFunctionMode):
    """Leaves parameters as they were allocated: functions that initialise them in place do nothing."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        if getattr(func, "__name__", "") in _DRAWING:
            target = args[0] if args else given.get("tensor")
            if isinstance(target, nn.Parameter):
                return target
        return func(*args, **given)


@contextmanager
def unfilled() -> Iterator[None]:
    """Context in which layers are built with parameters that hold any numbers; each must be set before its use.

    Drawing them would take time, and random numbers of the caller. Buffers are computed as always.
    """
    with _Unfilled():
        yield


@contextmanager
def shapes_only() -> Iterator[None]:
    """Context in which layers are built on the meta device: names, shapes and types without memory.

    Initialising tensors of that device imports the compiler of PyTorch, which takes longer than PyTorch itself; here it
    is left out.
    """
    with torch.device("meta"), unfilled():
        yield

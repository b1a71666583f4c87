"""Memory of a training step: what its tensors take, counted while they live, and whether activations are kept."""

from __future__ import annotations

import random
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ahs_seg.errors import AhsSegError

SHARE: Final = 0.8
"""Part of the free memory that a step may take; the rest is for what libraries allocate besides tensors."""


class OverLimitError(AhsSegError, RuntimeError):
    """The tensors of a block take more than its limit; the block ends there, and they are freed."""


class TensorBytes(TorchDispatchMode):
    """Context that counts the bytes of all tensors made in it, as long as they live: `now`, and the `peak`.

    The count is that of tensors, on every device the same; scratch memory inside of an operation and freed memory that
    an allocator keeps are not in it. With a `limit`, the operation after which `now` exceeds it raises.
    """

    def __init__(self, limit: int | float = float("inf")) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # untyped in torch
        self.limit = limit
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """Run one operation and count the storages that are new in its result."""
        given = {id(leaf.untyped_storage()) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._count(leaf.untyped_storage(), given)
        return result

    def _count(self, storage: torch.UntypedStorage, given: set[int]) -> None:
        key = id(storage)
        if key in self._known or key in given:
            return
        size = storage.nbytes()
        self._known.add(key)
        weakref.finalize(storage, self._freed, key, size)
        self.now += size
        self.peak = max(self.peak, self.now)
        if self.now > self.limit:
            raise OverLimitError(f"{self.now} bytes of tensors are more than the limit of {self.limit:.0f}")

    def _freed(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


@contextmanager
def unchanged(module: nn.Module) -> Iterator[None]:
    """Context that puts the buffers of a module back and drops the gradients of the step inside it."""
    kept = [(buffer, buffer.detach().clone()) for buffer in module.buffers()]
    grads = [(value, value.grad) for value in module.parameters()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in kept:
                buffer.copy_(value)
        for parameter, grad in grads:
            parameter.grad = grad


def remembered(module: nn.Module, device: torch.device) -> Callable[[], None]:
    """A function that puts the buffers of a module and all random states back to what they are now."""
    buffers = [(buffer, buffer.detach().clone()) for buffer in module.buffers()]
    python, numpy, own = random.getstate(), np.random.get_state(), torch.get_rng_state()
    other = torch.cuda.get_rng_state(device) if device.type == "cuda" else None

    def put_back() -> None:
        with torch.no_grad():
            for buffer, value in buffers:
                buffer.copy_(value)
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(own)
        if other is not None:
            torch.cuda.set_rng_state(other, device)

    return put_back


def state_bytes(module: nn.Module) -> tuple[int, int]:
    """Bytes of the weights and buffers of a module, and of the gradients and two AdamW moments of what is trained."""
    tensors = {id(one): one for one in (*module.parameters(), *module.buffers())}.values()
    trained = sum(value.numel() * value.element_size() for value in module.parameters() if value.requires_grad)
    return sum(one.numel() * one.element_size() for one in tensors), 3 * trained

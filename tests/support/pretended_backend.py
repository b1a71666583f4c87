"""The backend of the pretended device: its registration with PyTorch, and autocast by the lists of CUDA."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.utils.backend_registration as registration
from torch import Tensor

NAME = "pretended"
ATEN = torch.ops.aten
SHORT = (
    *("_convolution", "conv1d", "conv2d", "conv_transpose2d.input", "linear", "matmul", "mm", "mv", "addmm", "addbmm"),
    *("baddbmm", "bmm", "prelu", "scaled_dot_product_attention"),
)
"""Operations that autocast computes in its short type."""
WIDE = (
    *("acos", "asin", "cosh", "exp", "expm1", "log", "log10", "log2", "log1p", "reciprocal", "rsqrt", "sinh", "tan"),
    *("pow.Tensor_Scalar", "softplus", "layer_norm", "group_norm", "nuclear_norm", "cosine_similarity"),
    *("cosine_embedding_loss", "nll_loss", "nll_loss2d", "mse_loss", "l1_loss", "smooth_l1_loss", "kl_div", "cdist"),
    *("binary_cross_entropy_with_logits", "norm.ScalarOpt_dim", "norm.Scalar", "cross_entropy_loss"),
)
"""Operations that autocast computes in float32."""
TYPED = ["softmax.int", "log_softmax.int", "cumprod", "cumsum", "prod", "sum", "sum.dim_IntList"]
"""Operations with a short type as input that autocast computes in float32."""


class _Module:
    """What `torch.pretended` answers; the device is `available` only while a test pretends, not to later tests."""

    available = False

    def is_initialized(self) -> bool:
        return True

    def is_available(self) -> bool:
        return self.available

    def current_device(self) -> int:
        return 0

    def device_count(self) -> int:
        return 1

    def _is_in_bad_fork(self) -> bool:
        return False

    def manual_seed_all(self, seed: int) -> None:
        """Random numbers are those of the CPU."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]

    def get_rng_state(self, device: object = None) -> Tensor:
        return torch.zeros(0, dtype=torch.uint8)

    def set_rng_state(self, state: Tensor, device: object = None) -> None:
        """Random numbers are those of the CPU."""

    @contextmanager
    def device(self, index: object) -> Iterator[None]:
        yield


MODULE = _Module()


@functools.cache
def device() -> torch.device:
    """The pretended device; the first call registers it with PyTorch."""
    registration._setup_privateuseone_for_python_backend(NAME, backend_module=MODULE)
    _every.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")
    for name in (*SHORT, *WIDE, *TYPED):
        _register_autocast(name)
    return torch.device(NAME, 0)


_every = torch.library.Library("_", "IMPL")  # registrations live as long as these objects
_library = torch.library.Library("aten", "IMPL")


def _register_autocast(name: str) -> None:
    base, _, overload = name.partition(".")
    operation = getattr(getattr(ATEN, base), overload or "default")

    def run(*args: Any, **kwargs: Any) -> Any:
        short = torch.get_autocast_dtype(NAME)
        wanted = short if name in SHORT else torch.float32

        def cast(value: Tensor) -> Tensor:
            suits = value.is_floating_point() and value.device.type == NAME and value.dtype != torch.float64
            return value.to(wanted) if suits else value

        key = torch._C.DispatchKey.AutocastPrivateUse1  # type: ignore[attr-defined]  # not in the stubs
        with torch._C._ExcludeDispatchKeyGuard(torch._C.DispatchKeySet(key)):
            return operation(*mapped(args, Tensor, cast), **mapped(kwargs, Tensor, cast))

    _library.impl(name, run, "AutocastPrivateUse1")


def mapped(value: Any, kind: type, change: Callable[[Any], Any]) -> Any:
    """The value with all that is of a kind changed; `torch.utils._pytree` does it ten times slower."""
    if isinstance(value, kind):
        return change(value)
    if isinstance(value, tuple | list):
        return type(value)(mapped(one, kind, change) for one in value)
    if isinstance(value, dict):
        return {key: mapped(one, kind, change) for key, one in value.items()}
    return value

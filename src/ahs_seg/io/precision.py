"""Numeric types in which a model computes: their names, which devices have instructions for them, and their use.

Weights stay in float32. Only matrix products, convolutions and attention are computed in the shorter type (PyTorch's
autocast); methods compute cosines, normalised features, softmax and scores in float32.
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext
from typing import Final, Literal

import torch

from ahs_seg.errors import AhsSegError

logger = logging.getLogger(__name__)

Precision = Literal["fp32", "bf16", "fp16"]

_TYPES: Final = {
    **dict.fromkeys(("fp32", "float32", "float"), torch.float32),
    **dict.fromkeys(("bf16", "bfloat16"), torch.bfloat16),
    **dict.fromkeys(("fp16", "float16", "half"), torch.float16),
}
_SHORT: Final[dict[torch.dtype, Precision]] = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}


class PrecisionError(AhsSegError, ValueError):
    """No numeric type has this name, or the device cannot compute in it."""


def find_dtype(name: torch.dtype | str) -> torch.dtype:
    """The type of a name: fp32, bf16 or fp16, also written float32, bfloat16, float16, or as a `torch.dtype`.

    Raises:
        PrecisionError: it is none of these.
    """
    found = _TYPES.get(str(name).removeprefix("torch."))
    if found is None:
        raise PrecisionError(
            f"dtype {str(name)!r} is not known; allowed are fp32, bf16 and fp16 (float32, bfloat16, float16). "
            "bf16 keeps the range of fp32 and is the safer one of the short types."
        )
    return found


def dtype_name(dtype: torch.dtype) -> Precision:
    """The short name of a type: fp32, bf16 or fp16."""
    return _SHORT[find_dtype(dtype)]


def check_precision(dtype: torch.dtype, device: torch.device) -> None:
    """Check that a device computes in this type; a warning says if it does so without instructions for it.

    Raises:
        PrecisionError: PyTorch has no autocast for this device.
    """
    if dtype == torch.float32:
        return
    if not torch.amp.is_autocast_available(device.type):
        raise PrecisionError(f"PyTorch computes in fp32 only on {device}; leave dtype out, or choose cpu or cuda.")
    if not has_instructions(dtype, device):
        logger.warning(
            "this %s has no instructions for %s: PyTorch imitates them, which is slower than fp32; dtype='fp32' gives "
            "the exact labels sooner.",
            "CPU" if device.type == "cpu" else f"device ({device})",
            _SHORT[dtype],
        )


def computing_in(dtype: torch.dtype, device: torch.device) -> AbstractContextManager[object]:
    """Context in which matrix products, convolutions and attention are computed in `dtype`; float32 changes nothing."""
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)


def has_instructions(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether a device has instructions for a type; other devices than CPUs and CUDA GPUs are not asked."""
    short = dtype == torch.bfloat16
    if dtype == torch.float32:
        return True
    if device.type == "cuda":
        return not short or torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return True
    known = torch.ops.mkldnn
    return bool(known._is_mkldnn_bf16_supported() if short else known._is_mkldnn_fp16_supported())

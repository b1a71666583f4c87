"""Full precision under autocast: cosines, normalised features and scores are never computed in a short type."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

_SHORT: Final = (torch.float16, torch.bfloat16)


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """Context without autocast; nothing changes on devices that have none, such as "meta"."""
    if torch.amp.is_autocast_available(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()


def autocast_dtype(device: torch.device) -> torch.dtype:
    """The type in which autocast computes matrix products now; float32 where it is off."""
    active = torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type)
    return torch.get_autocast_dtype(device.type) if active else torch.float32


def widened(values: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """The values in float32 if they have a short type; float32 and float64 stay as they are."""
    return values.float() if values.dtype in _SHORT else values

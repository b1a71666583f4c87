"""Tensors of what the CPU knows, numbers and images, put on a device without waiting for it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor


def made_on(device: torch.device, values: Sequence[float]) -> Float[Tensor, " n"]:
    """A few numbers in float32; they are written by the device, so that nothing is copied to it."""
    return torch.cat([torch.full((1,), value, dtype=torch.float32, device=device) for value in values])


def indices_on(device: torch.device, values: Sequence[int]) -> Int[Tensor, " n"]:
    """Indices, copied to the device while it goes on with its work; `torch.tensor(values, device=...)` waits."""
    return torch.tensor(values, dtype=torch.long).to(device, non_blocking=True)


def uploaded(images: Float[Tensor, "v 3 h w"], device: torch.device) -> Float[Tensor, "v 3 h w"]:
    """Images on a device; a GPU fetches them from page-locked memory while the CPU goes on."""
    ready = images.pin_memory() if device.type == "cuda" and images.device.type == "cpu" else images
    return ready.to(device, non_blocking=True)

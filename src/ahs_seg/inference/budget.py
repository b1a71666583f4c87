"""How much of an image is computed at a time: as configured on the CPU, as much as fits on an accelerator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch

MERGING_SHARE: Final = 8
"""Merging may take one part in so many of the memory that is free on a device; the allocator keeps what it had."""
VIEW_BYTES: Final = 2 * 2**30
"""Free memory for each view that runs with others: more than CAT-Seg-L takes for one with 256 classes in float32."""


def free_bytes(device: torch.device) -> int | None:
    """Free memory of a CUDA device in bytes (no wait for its work); None for other devices, whose memory is shared."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None


def merging_bytes(
    configured: int, device: torch.device, free: Callable[[torch.device], int | None] = free_bytes
) -> int:
    """Memory for merging in bytes: at least what is configured, more where a device has it free.

    It changes how many text rows are computed at a time, and no result.
    """
    return max(configured, (free(device) or 0) // MERGING_SHARE)


def views_at_once(
    configured: int, views: int, device: torch.device, free: Callable[[torch.device], int | None] = free_bytes
) -> int:
    """How many of the views of an image run together: at least as many as configured, all if a device has room.

    Results are equal up to rounding.
    """
    return max(configured, min(views, (free(device) or 0) // VIEW_BYTES))

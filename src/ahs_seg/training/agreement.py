"""Decisions that all processes of a run take together: a process alone would wait for the others for ever."""

from __future__ import annotations

import torch
from lightning_fabric import Fabric


def anywhere(flag: bool, fabric: Fabric) -> bool:
    """Whether a flag is set in any process; must be called in every process, and is the same in all of them."""
    if fabric.world_size == 1:
        return flag
    given = torch.tensor(float(flag), device=fabric.device)
    return float(fabric.all_reduce(given, reduce_op="sum")) > 0

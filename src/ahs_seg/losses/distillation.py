"""SDR: how far the tuned encoder went from the CLIP it started as."""

from __future__ import annotations

import math

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ahs_seg.layers.geodesic import geodesic_distance


def distillation_loss(student: Float[Tensor, "b d h w"], teacher: Float[Tensor, "b d h w"]) -> Float[Tensor, ""]:
    """Mean angle between the features of both at the same place, in radians. Source: AHS-Seg's simple design, SDR."""
    one, other = (F.normalize(part.movedim(1, -1), dim=-1) for part in (student, teacher))
    return geodesic_distance(one, other).mean()


def distillation_schedule(progress: float, *, initial: float = 0.5, final: float = 0.1) -> float:
    """The weight after a share of the training: half a cosine from `initial` to `final`.

    The published code raises it from 0 over the first 5,000 steps, against its own words "large at the start".
    """
    return final + 0.5 * (initial - final) * (1 + math.cos(math.pi * progress))

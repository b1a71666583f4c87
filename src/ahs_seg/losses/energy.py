"""The energy loss of HA-HEM: rotations that are mixed with the identity stay close to rotations."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

FIRST_WEIGHT, LAST_WEIGHT = 1.0, 0.3
DIVERSITY, SMOOTHNESS = 0.1, 0.05


def energy_loss(matrices: Float[Tensor, "layers p slots n n"], alpha: Float[Tensor, " layers"]) -> Float[Tensor, ""]:
    """How far the matrices of one tower are from orthogonal, and how its strengths of layers vary.

    The sum over layers of w_l times the mean of ||Q^T Q - I||_F^2 over projections and blocks, less 0.1 times the
    variance of alpha, plus 0.05 times the mean squared step of alpha from layer to layer; w falls from 1 to 0.3.

    Source: AHS-Seg, hyperspherical energy. The published code never calls its modulators; it would have summed over
    blocks, over query and output projections only, and over copies of alpha that nothing uses.
    """
    identity = torch.eye(matrices.shape[-1], device=matrices.device, dtype=matrices.dtype)
    deviation = (matrices.mT @ matrices - identity).square().sum((-2, -1)).mean((1, 2))
    weights = torch.linspace(FIRST_WEIGHT, LAST_WEIGHT, len(matrices), device=matrices.device, dtype=matrices.dtype)
    loss = (weights * deviation).sum()
    if len(alpha) == 1:  # a single layer neither varies nor steps
        return loss
    return loss - DIVERSITY * alpha.var() + SMOOTHNESS * alpha.diff().square().mean()

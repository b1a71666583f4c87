"""Calibrated ensemble: what the proposals say of themselves, and what CLIP says of their pictures."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Combination = Literal["product", "log"]


def combine(
    inside: Float[Tensor, "q k"],
    void: Float[Tensor, " q"],
    outside: Float[Tensor, "q k"],
    *,
    weight: float,
    combination: Combination,
) -> Float[Tensor, "q k"]:
    """Scores in [0, 1] of every proposal for every class.

    `inside` are its own probabilities (with `void` they add up to one), `outside` those of CLIP; `weight` 0 gives
    `inside`, 1 gives `outside`. "product" is the weighted geometric mean, not normalised; "log" normalises it, gives
    `void` its share, and normalises again. Source: SCAN (Liu et al., CVPR 2024).
    """
    product = inside ** (1 - weight) * outside**weight
    if combination == "product":
        return product
    known = product / product.sum(1, keepdim=True).clamp(min=torch.finfo(product.dtype).tiny)
    shares = torch.cat([known * (1 - void).unsqueeze(1), void.unsqueeze(1)], 1) + 1e-8
    return (shares / shares.sum(1, keepdim=True))[:, :-1]

"""Losses of HPA: features against the prototypes of the classes, as previous steps left them."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ahs_seg.layers.geodesic import angle_of_cosine, geodesic_distance
from ahs_seg.types import IGNORE


def prototype_loss(
    features: Float[Tensor, "n d"],
    rows: Int[Tensor, " n"],
    prototypes: Float[Tensor, "k d"],
    temperatures: Float[Tensor, " k"],
    ready: Bool[Tensor, " k"],
) -> Float[Tensor, ""]:
    """Cross-entropy of cosines over temperatures: -log softmax_c(f . P_c / tau_c)[y], a mean over labelled features.

    Only classes that are `ready` take part. Without any labelled feature of these it is 0. Source: AHS-Seg's simple
    design, HPA.
    """
    cosine = F.normalize(features, dim=-1) @ prototypes.T
    return _cross_entropy(cosine, rows, temperatures, ready)


def prototype_distance(
    features: Float[Tensor, "n d"], rows: Int[Tensor, " n"], prototypes: Float[Tensor, "k d"], ready: Bool[Tensor, " k"]
) -> Float[Tensor, ""]:
    """Geodesic distance of labelled features to the prototype of their class, a mean; source: HPS-Seg, HPA."""
    valid = _valid(rows, ready)
    own = prototypes[torch.where(valid, rows, 0)]
    return _mean(geodesic_distance(F.normalize(features, dim=-1), own), valid)


def prototype_contrast(
    features: Float[Tensor, "n d"],
    rows: Int[Tensor, " n"],
    prototypes: Float[Tensor, "k d"],
    temperatures: Float[Tensor, " k"],
    ready: Bool[Tensor, " k"],
) -> Float[Tensor, ""]:
    """Cross-entropy of 1 - d / pi over temperatures, d the angle to each prototype, a mean over labelled features.

    It pushes classes apart, which HPS-Seg claims and its published code has no term for.
    """
    cosine = F.normalize(features, dim=-1) @ prototypes.T
    return _cross_entropy(1 - angle_of_cosine(cosine) / math.pi, rows, temperatures, ready)


def _cross_entropy(similarity: Tensor, rows: Tensor, temperatures: Tensor, ready: Tensor) -> Tensor:
    valid = _valid(rows, ready)
    # Finite, so that rows which do not count have no infinite gradient either.
    logits = (similarity / temperatures).masked_fill(~ready, torch.finfo(similarity.dtype).min)
    return _mean(F.cross_entropy(logits, torch.where(valid, rows, 0), reduction="none"), valid)


def _valid(rows: Tensor, ready: Tensor) -> Tensor:
    labelled = rows != IGNORE
    return labelled & ready[torch.where(labelled, rows, 0)]


def _mean(values: Tensor, valid: Tensor) -> Tensor:
    """The mean over valid values, or a 0 that hangs on the graph."""
    return torch.where(valid, values, 0).sum() / valid.sum().clamp(min=1)

"""HPA: the losses of features against the prototypes of the training classes."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ahs_seg.modules.geodesic import angle_of_cosine, geodesic_distance
from ahs_seg.types import IGNORE


def prototype_loss(
    features: Float[Tensor, "n d"],
    rows: Int[Tensor, " n"],
    prototypes: Float[Tensor, "k d"],
    temperatures: Float[Tensor, " k"],
    ready: Bool[Tensor, " k"],
) -> Float[Tensor, ""]:
    """Mean cross-entropy of labelled features against all prototypes: -log softmax_c(f . P_c / tau_c)[y].

    `rows` are the class indices of the features (`IGNORE`: no label). Only classes that are `ready` are used; without
    any labelled feature of these the loss is 0. Source: AHS-Seg's simple design, HPA.
    """
    cosine = F.normalize(features, dim=-1) @ prototypes.T
    return _cross_entropy(cosine, rows, temperatures, ready)


def prototype_distance(
    features: Float[Tensor, "n d"], rows: Int[Tensor, " n"], prototypes: Float[Tensor, "k d"], ready: Bool[Tensor, " k"]
) -> Float[Tensor, ""]:
    """Mean geodesic distance of labelled features to the prototype of their class. Source: HPS-Seg, HPA."""
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
    """Mean cross-entropy of labelled features with the logits (1 - d / pi) / tau, d the angle to each prototype.

    It separates the classes, which HPS-Seg claims, but its published code has no loss for it.
    """
    cosine = F.normalize(features, dim=-1) @ prototypes.T
    return _cross_entropy(1 - angle_of_cosine(cosine) / math.pi, rows, temperatures, ready)


def _cross_entropy(similarity: Tensor, rows: Tensor, temperatures: Tensor, ready: Tensor) -> Tensor:
    valid = _valid(rows, ready)
    # A finite mask value, so that excluded features have no infinite gradient.
    logits = (similarity / temperatures).masked_fill(~ready, torch.finfo(similarity.dtype).min)
    return _mean(F.cross_entropy(logits, torch.where(valid, rows, 0), reduction="none"), valid)


def _valid(rows: Tensor, ready: Tensor) -> Tensor:
    labelled = rows != IGNORE
    return labelled & ready[torch.where(labelled, rows, 0)]


def _mean(values: Tensor, valid: Tensor) -> Tensor:
    """The mean over valid values; without any, a 0 that is still part of the autograd graph."""
    return torch.where(valid, values, 0).sum() / valid.sum().clamp(min=1)

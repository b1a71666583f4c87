"""EBSeg's three embeddings of a mask, and the balance between them (Shan et al., CVPR 2024)."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ahs_seg.methods.mask.query_decoder import QueryPrediction

MOST = 10.0
"""Bound of the scale of supervised embeddings."""
TINY = 1e-8


class Perceptron(nn.Sequential):
    """Three linear layers with ReLU between them."""

    def __init__(self, inner: int, out: int) -> None:
        layers = [nn.Linear(inner, inner), nn.ReLU(), nn.Linear(inner, inner), nn.ReLU(), nn.Linear(inner, out)]
        super().__init__(*layers)


class SupervisedEmbedding(nn.Module):
    """Embeddings of masks in the joint space, from the state of their query and the mean feature inside the mask.

    Their length is `scale` (at most 10). An original behaviour that we keep: the loss that compares them with each
    other (`similarity_structure_loss`) wants squares of this length near 1, and so ties it to about 1.
    """

    NO_DECAY_FULL_LR: ClassVar[frozenset[str]] = frozenset({"scale"})

    def __init__(self, dim: int, out: int) -> None:
        super().__init__()
        self.pool = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, dim))
        self.embed = Perceptron(dim, out)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, prediction: QueryPrediction, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b q d"]:
        """One embedding per query; gradients flow through states and features, not through the choice of pixels."""
        inside = (prediction.masks.detach() > 0).flatten(2).to(features.dtype)
        pooled = inside @ features.flatten(2).transpose(1, 2) / (inside.sum(-1, keepdim=True) + TINY)
        embedded = F.normalize(self.embed(self.pool(pooled) + prediction.states), dim=-1)
        return self.scale.clamp(max=MOST) * embedded


class AttentionBias(nn.Module):
    """Where each head of a CLIP should look for the region of each mask.

    The bias is formed at the resolution of the mask features and max-pooled to CLIP's grid, head by head, so that it
    is never there for all heads at once. `weight` and `shift` start at 1 and 0: the original draws both from
    (-1, 1), which leaves the sign of the bias to chance.
    """

    NO_DECAY_FULL_LR: ClassVar[frozenset[str]] = frozenset({"weight", "shift"})

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.embed = Perceptron(dim, dim * heads)
        self.weight = nn.Parameter(torch.ones(1))
        self.shift = nn.Parameter(torch.zeros(1))

    def keys(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "heads b c h w"]:
        """What mask embeddings are multiplied with, for every head."""
        embedded = self.embed(features.permute(0, 2, 3, 1))
        return embedded.unflatten(-1, (self.heads, -1)).permute(3, 0, 4, 1, 2)

    def forward(
        self, masks: Float[Tensor, "b q c"], keys: Float[Tensor, "heads b c h w"], grid: tuple[int, int]
    ) -> Float[Tensor, "b heads q n"]:
        """The bias of embedded masks on a grid of n places."""
        return torch.stack([self._one_head(masks, key, grid) for key in keys], 1)

    def _one_head(self, masks: Tensor, key: Tensor, grid: tuple[int, int]) -> Tensor:
        if torch.is_grad_enabled():  # at the features' resolution it is large: form it again in the backward pass
            pooled: Tensor = checkpoint(self._pooled, masks, key, grid, use_reentrant=False)
            return pooled
        return self._pooled(masks, key, grid)

    def _pooled(self, masks: Tensor, key: Tensor, grid: tuple[int, int]) -> Tensor:
        return F.adaptive_max_pool2d(self.full(masks, key), grid).flatten(2)

    def full(self, masks: Float[Tensor, "b q c"], key: Float[Tensor, "b c h w"]) -> Float[Tensor, "b q h w"]:
        """The bias for one head at the features' resolution."""
        return torch.einsum("bqc,bchw->bqhw", masks, key) * self.weight + self.shift


def mean_inside(dense: Float[Tensor, "b d h w"], masks: Float[Tensor, "b q H W"]) -> Float[Tensor, "b q d"]:
    """Mean of a dense map over the masks, which are resized to it and cut at one half; zero for an empty mask.

    It is not a unit vector: where places disagree it is short, and its class scores are even.
    """
    resized = F.interpolate(masks, size=dense.shape[-2:], mode="bilinear", align_corners=False)
    inside = (resized > 0).flatten(2).to(dense.dtype)
    return inside @ dense.flatten(2).transpose(1, 2) / (inside.sum(-1, keepdim=True) + TINY)


def balanced_scores(
    supervised: Float[Tensor, "b q k"],
    recognised: Float[Tensor, "b q k"],
    averaged: Float[Tensor, "b q k"],
    seen: Bool[Tensor, " t"] | None,
    *,
    alpha: float,
    beta: float,
    gamma: float,
) -> Float[Tensor, "b q t"]:
    """Scores of t classes from logits of three embeddings; the last column of each (k = t + 1) stands for none.

    With u = `alpha` for classes that training has seen and `beta` for others, a class has the weight
    A^(1 - u - gamma) * C^u * B^gamma of its probabilities among the t classes (supervised A, recognised B, averaged
    C); their softmax is scaled by one less the supervised probability of none. Without `seen` all classes are new.
    In float32 and in logarithms, since powers of small probabilities underflow.
    """
    logs = [logits[..., :-1].float().log_softmax(-1) for logits in (supervised, recognised, averaged)]
    weight = torch.full((logs[0].shape[-1],), beta, device=supervised.device)
    if seen is not None:
        weight = torch.where(seen, alpha, weight)
    mixed = ((1 - weight - gamma) * logs[0] + gamma * logs[1] + weight * logs[2]).exp() + TINY
    void = supervised.float().softmax(-1)[..., -1:]
    scores = mixed / mixed.sum(-1, keepdim=True) * (1 - void)
    total = scores.sum(-1, keepdim=True) + void + TINY * (scores.shape[-1] + 1)
    return (scores + TINY) / total

"""EBSeg's embeddings of mask proposals, and the balance of their class scores (Shan et al., CVPR 2024)."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ahs_seg.methods.mask.predictions import QueryPrediction
from ahs_seg.modules.full_precision import full_precision, widened

MOST = 10.0
"""Upper bound of the learned scale of supervised embeddings."""
TINY = 1e-8


class Perceptron(nn.Sequential):
    """An MLP of three linear layers with ReLU between them."""

    def __init__(self, inner: int, out: int) -> None:
        layers = [nn.Linear(inner, inner), nn.ReLU(), nn.Linear(inner, inner), nn.ReLU(), nn.Linear(inner, out)]
        super().__init__(*layers)


class SupervisedEmbedding(nn.Module):
    """Mask embeddings in the joint space, from the query state and the mean mask feature inside the mask.

    Their length is the learned `scale` (at most 10). As in the original, the loss on their pairwise dot products
    (`similarity_structure_loss`) pulls the square of this length, and so the length, towards 1.
    """

    NO_DECAY_FULL_LR: ClassVar[frozenset[str]] = frozenset({"scale"})
    PUBLISHED_DECAY: ClassVar[frozenset[str]] = NO_DECAY_FULL_LR

    def __init__(self, dim: int, out: int) -> None:
        super().__init__()
        self.pool = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, dim))
        self.embed = Perceptron(dim, out)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, prediction: QueryPrediction, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b q d"]:
        """One embedding per query; there are gradients for states and features, but not for the binary masks."""
        pooled = mean_of_positions(features, prediction.masks.detach() > 0)
        embedded = F.normalize(widened(self.embed(self.pool(pooled) + prediction.states)), dim=-1)
        return self.scale.clamp(max=MOST) * embedded


class AttentionBias(nn.Module):
    """Attention bias that directs each attention head of CLIP to the region of each mask.

    The bias is computed at the resolution of the mask features and max-pooled to CLIP's patch grid, head by head, so
    that the full-resolution bias of all heads is never in memory at once. `weight` and `shift` are initialised to 1 and
    0: the original draws both from (-1, 1), so that the sign of the bias is random.
    """

    NO_DECAY_FULL_LR: ClassVar[frozenset[str]] = frozenset({"weight", "shift"})
    PUBLISHED_DECAY: ClassVar[frozenset[str]] = NO_DECAY_FULL_LR

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.embed = Perceptron(dim, dim * heads)
        self.weight = nn.Parameter(torch.ones(1))
        self.shift = nn.Parameter(torch.zeros(1))

    def keys(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "heads b c h w"]:
        """The feature maps, one per head, whose dot product with a mask embedding gives the bias."""
        embedded = self.embed(features.permute(0, 2, 3, 1))
        return embedded.unflatten(-1, (self.heads, -1)).permute(3, 0, 4, 1, 2)

    def forward(
        self, masks: Float[Tensor, "b q c"], keys: Float[Tensor, "heads b c h w"], grid: tuple[int, int]
    ) -> Float[Tensor, "b heads q n"]:
        """The bias of all mask embeddings on a grid with n positions."""
        return torch.stack([self._one_head(masks, key, grid) for key in keys], 1)

    def _one_head(self, masks: Tensor, key: Tensor, grid: tuple[int, int]) -> Tensor:
        if torch.is_grad_enabled():  # large at full resolution: recompute it in the backward pass
            pooled: Tensor = checkpoint(self._pooled, masks, key, grid, use_reentrant=False)
            return pooled
        return self._pooled(masks, key, grid)

    def _pooled(self, masks: Tensor, key: Tensor, grid: tuple[int, int]) -> Tensor:
        return F.adaptive_max_pool2d(self.full(masks, key), grid).flatten(2)

    def full(self, masks: Float[Tensor, "b q c"], key: Float[Tensor, "b c h w"]) -> Float[Tensor, "b q h w"]:
        """The bias of one head at the resolution of the mask features."""
        return torch.einsum("bqc,bchw->bqhw", masks, key) * self.weight + self.shift


def mean_inside(dense: Float[Tensor, "b d h w"], masks: Float[Tensor, "b q H W"]) -> Float[Tensor, "b q d"]:
    """Mean of a dense map inside each mask; zero for an empty mask.

    Masks are logits; they are resized to the map and binarised at a probability of one half. The mean is not
    normalised: if the features inside a mask differ, it is short and its class scores are nearly uniform.
    """
    resized = F.interpolate(masks, size=dense.shape[-2:], mode="bilinear", align_corners=False)
    return mean_of_positions(dense, resized > 0)


def mean_of_positions(maps: Float[Tensor, "b c h w"], inside: Bool[Tensor, "b q h w"]) -> Float[Tensor, "b q c"]:
    """Mean of maps over the positions inside each mask, zero for an empty one; in float32, since fp16 sums overflow."""
    with full_precision(maps.device):
        values = widened(maps).flatten(2)
        weights = inside.flatten(2).to(values.dtype)
        return weights @ values.transpose(1, 2) / (weights.sum(-1, keepdim=True) + TINY)


def balanced_scores(
    supervised: Float[Tensor, "b q k"],
    recognised: Float[Tensor, "b q k"],
    averaged: Float[Tensor, "b q k"],
    seen: Bool[Tensor, " t"] | Float[Tensor, " t"] | None,
    *,
    alpha: float,
    beta: float,
    gamma: float,
) -> Float[Tensor, "b q t"]:
    """Scores of t classes from the logits of three embeddings; the last column of the logits is the no-object class.

    The logits have k = t + 1 columns. A class has the unnormalised score A^(1 - u - gamma) * C^u * B^gamma of its
    softmax probabilities among the t classes (supervised A, recognised B, averaged C), with u = `alpha` for seen
    classes and u = `beta` for others; numbers in [0, 1] as `seen` mix the two. The normalised scores are multiplied by
    one minus the supervised no-object probability. Without `seen` all classes are unseen. Computed in float32 and with
    logarithms, because powers of small probabilities underflow.
    """
    logs = [logits[..., :-1].float().log_softmax(-1) for logits in (supervised, recognised, averaged)]
    weight = torch.full((logs[0].shape[-1],), beta, device=supervised.device)
    if seen is not None:
        weight = torch.where(seen, alpha, weight) if seen.dtype == torch.bool else seen * alpha + (1 - seen) * beta
    mixed = ((1 - weight - gamma) * logs[0] + gamma * logs[1] + weight * logs[2]).exp() + TINY
    no_object = supervised.float().softmax(-1)[..., -1:]
    scores = mixed / mixed.sum(-1, keepdim=True) * (1 - no_object)
    total = scores.sum(-1, keepdim=True) + no_object + TINY * (scores.shape[-1] + 1)
    return (scores + TINY) / total

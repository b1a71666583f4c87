"""Losses for training CLIP on images whose parts have captions: each part must match its own phrases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

_POOLING: Final = 10.0
"""Sharpness of soft-max pooling over the patches of a part: 0 is the mean, infinity the maximum."""


@dataclass(frozen=True, slots=True)
class Said:
    """Phrases that describe each image part, as boolean matrices.

    `own` marks the phrases in the caption of a part (positives). `fair` marks the phrases over which the loss is
    normalised: the positives and all phrases that cannot also be true of the part (negatives).
    """

    own: Bool[Tensor, "parts phrases"]
    fair: Bool[Tensor, "parts phrases"]

    @classmethod
    def of(cls, said: Int[Tensor, "parts most"], compatible: Bool[Tensor, "phrases phrases"]) -> Said:
        """Build from the phrase indices of each part (-1 for none) and the pairs of phrases that may both be true."""
        count = len(compatible)
        own = torch.zeros(len(said), count + 1, dtype=torch.bool)
        own.scatter_(1, said.where(said >= 0, torch.tensor(count)), True)
        own = own[:, :count]
        maybe = (own.float() @ compatible.float()) > 0
        return cls(own, own | ~maybe)


def patch_loss(logits: Float[Tensor, "b n phrases"], part: Int[Tensor, "b n"], said: Said) -> Float[Tensor, ""]:
    """Partial-label cross-entropy per patch: any phrase of its part is correct, phrases of other parts are not.

    Which of the phrases of its part a patch shows is not labelled.
    """
    inside = part >= 0
    rows, which = logits[inside].float(), part[inside]
    return _any_of(rows, said.own[which], said.fair[which]).mean()


def pool(
    similarity: Float[Tensor, "b n phrases"], part: Int[Tensor, "b n"], parts: int
) -> Float[Tensor, "parts phrases"]:
    """Similarity of each part with each phrase: mean over the patches, weighted by exp(`_POOLING` * similarity)."""
    first = part.where(part >= 0, torch.tensor(parts)).amin(1, keepdim=True)
    most = int((part - first).max()) + 1
    place = torch.zeros(*part.shape, most + 1).scatter_(
        2, (part - first).where(part >= 0, torch.tensor(most))[..., None], 1.0
    )[..., :most]
    weight = (_POOLING * similarity.float()).exp()
    total = place.transpose(1, 2) @ weight
    pooled = (place.transpose(1, 2) @ (weight * similarity.float())) / total.clamp_min(1e-6)
    numbers = (first + torch.arange(most)).where(place.amax(1) > 0, torch.tensor(parts))
    result = pooled.new_zeros(parts + 1, pooled.shape[-1])
    return result.index_copy(0, numbers.flatten(), pooled.flatten(0, 1))[:parts]


def matching_loss(logits: Float[Tensor, "parts phrases"], said: Said) -> Float[Tensor, ""]:
    """Contrastive loss between parts and phrases in both directions; every phrase of a part is a positive."""
    part, phrase = said.own.nonzero(as_tuple=True)
    rows = logits[part]
    alternatives = said.fair[part] & ~said.own[part]
    alternatives[torch.arange(len(part)), phrase] = True
    naming = rows.masked_fill(~alternatives, -torch.inf).logsumexp(1) - rows.gather(1, phrase[:, None])[:, 0]
    heard = said.own.any(0)
    finding = _any_of(logits.T[heard], said.own.T[heard], said.fair.T[heard])
    return naming.mean() + finding.mean()


def strongest(features: Float[Tensor, "b n c"], part: Int[Tensor, "b n"], parts: int) -> Float[Tensor, "parts c"]:
    """Max-pooled features of each part: maximum of each channel over its patches."""
    inside = part >= 0
    rows, which = features[inside], part[inside]
    start = rows.new_full((parts, rows.shape[1]), torch.finfo(rows.dtype).min)
    return start.scatter_reduce(0, which[:, None].expand_as(rows), rows, "amax")


def word_loss(
    logits: Float[Tensor, "parts words"], told: Int[Tensor, "parts kinds"], sizes: tuple[int, ...]
) -> Float[Tensor, ""]:
    """Cross-entropy of the caption words of each part (-1: ignored), summed over the kinds of words."""
    losses = [
        F.cross_entropy(block, told[:, kind], ignore_index=-1)
        for kind, block in enumerate(logits.split(sizes, 1))
        if bool((told[:, kind] >= 0).any())
    ]
    return torch.stack(losses).sum()


def _any_of(
    logits: Float[Tensor, "rows options"], own: Bool[Tensor, "rows options"], fair: Bool[Tensor, "rows options"]
) -> Float[Tensor, " rows"]:
    every = logits.masked_fill(~fair, -torch.inf).logsumexp(1)
    return every - logits.masked_fill(~own, -torch.inf).logsumexp(1)

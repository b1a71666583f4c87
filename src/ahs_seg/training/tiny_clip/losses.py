"""What a CLIP learns from pictures whose parts have captions: say the right words in the right part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

_POOLING: Final = 10.0
"""Sharpness of pooling over the patches of a part: between the mean (0) and the maximum."""


@dataclass(frozen=True, slots=True)
class Said:
    """Which phrases were said of which part.

    `own` marks them; `fair` marks the phrases that count as alternatives: all but those that may also be true.
    """

    own: Bool[Tensor, "parts phrases"]
    fair: Bool[Tensor, "parts phrases"]

    @classmethod
    def of(cls, said: Int[Tensor, "parts most"], compatible: Bool[Tensor, "phrases phrases"]) -> Said:
        """From the phrase numbers of each part (-1 for none) and the pairs of phrases that may mean the same."""
        count = len(compatible)
        own = torch.zeros(len(said), count + 1, dtype=torch.bool)
        own.scatter_(1, said.where(said >= 0, torch.tensor(count)), True)
        own = own[:, :count]
        maybe = (own.float() @ compatible.float()) > 0
        return cls(own, own | ~maybe)


def patch_loss(logits: Float[Tensor, "b n phrases"], part: Int[Tensor, "b n"], said: Said) -> Float[Tensor, ""]:
    """Each patch is some one of the things said of its part, and none of those said elsewhere.

    Partial-label cross-entropy; which of the part's phrases a patch is, the model finds out.
    """
    inside = part >= 0
    rows, which = logits[inside].float(), part[inside]
    return _any_of(rows, said.own[which], said.fair[which]).mean()


def pool(
    similarity: Float[Tensor, "b n phrases"], part: Int[Tensor, "b n"], parts: int
) -> Float[Tensor, "parts phrases"]:
    """How well each phrase fits each part: mean over the patches, weighted towards those that fit it."""
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
    """Contrast of parts and phrases, both ways; every phrase said of a part must fit it."""
    part, phrase = said.own.nonzero(as_tuple=True)
    rows = logits[part]
    alternatives = said.fair[part] & ~said.own[part]
    alternatives[torch.arange(len(part)), phrase] = True
    naming = rows.masked_fill(~alternatives, -torch.inf).logsumexp(1) - rows.gather(1, phrase[:, None])[:, 0]
    heard = said.own.any(0)
    finding = _any_of(logits.T[heard], said.own.T[heard], said.fair.T[heard])
    return naming.mean() + finding.mean()


def strongest(features: Float[Tensor, "b n c"], part: Int[Tensor, "b n"], parts: int) -> Float[Tensor, "parts c"]:
    """Maximum of each channel over the patches of each part: what is there, wherever in the part it is."""
    inside = part >= 0
    rows, which = features[inside], part[inside]
    start = rows.new_full((parts, rows.shape[1]), torch.finfo(rows.dtype).min)
    return start.scatter_reduce(0, which[:, None].expand_as(rows), rows, "amax")


def word_loss(
    logits: Float[Tensor, "parts words"], told: Int[Tensor, "parts kinds"], sizes: tuple[int, ...]
) -> Float[Tensor, ""]:
    """Cross-entropy of the words said of each part, summed over the kinds of words (-1 where none was said)."""
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

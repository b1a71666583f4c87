"""Loss on the difference between the similarity structures of mask embeddings and of text embeddings."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ahs_seg.methods.mask.set_loss import MaskTargets, Match


def similarity_structure_loss(
    embeddings: Float[Tensor, "b q d"],
    text: Float[Tensor, "k d"],
    matches: Sequence[Match],
    targets: Sequence[MaskTargets],
) -> Float[Tensor, ""]:
    """Mean squared difference of dot products of matched mask embeddings and cosines of their class text embeddings.

    `text` holds unit vectors. All pairs within an image are used, including the diagonal. Images without a match are
    excluded; in the original they make the loss of the whole batch undefined by a division by zero. Source: EBSeg,
    semantic structure consistency loss.
    """
    cosines = text @ text.T
    terms = []
    for rows, match, target in zip(embeddings.float(), matches, targets, strict=True):
        if len(match.queries):
            matched, labels = rows[match.queries], target.labels[match.targets]
            terms.append((matched @ matched.T - cosines[labels][:, labels]).square().mean())
    return torch.stack(terms).mean() if terms else embeddings.float().sum() * 0

"""Loss between the structure of image embeddings and that of words."""

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
    """Mean squared difference between products of matched embeddings and cosines of their classes' words (unit rows).

    All pairs of an image count, the diagonal too; images without a match do not, where the original's loss of the
    whole batch is lost to a division by zero. Source: EBSeg, semantic structure consistency loss.
    """
    cosines = text @ text.T
    terms = []
    for rows, match, target in zip(embeddings.float(), matches, targets, strict=True):
        if len(match.queries):
            matched, labels = rows[match.queries], target.labels[match.targets]
            terms.append((matched @ matched.T - cosines[labels][:, labels]).square().mean())
    return torch.stack(terms).mean() if terms else embeddings.float().sum() * 0

"""The hierarchy loss of DC-HSP: words of related classes lie as far apart as their relation says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

PARENT_MARGIN, SIBLING_MARGIN = 0.3, 0.5
REST_SUFFIX = "-other"


def relation_margins(labels: Sequence[str], categories: Sequence[str | None]) -> Float[Tensor, "k k"]:
    """The distance that every two classes should have; 0 stands for no relation.

    Classes of one super-category are siblings (0.5). A class "<x>-other" stands for the super-category as a whole: it
    is the parent (0.3) of the other members.
    """
    members: defaultdict[str, list[int]] = defaultdict(list)
    for index, category in enumerate(categories):
        if category is not None:
            members[category].append(index)
    margins = torch.zeros(len(labels), len(labels))
    for group in members.values():
        for one in group:
            for other in group:
                parent = labels[one].endswith(REST_SUFFIX) or labels[other].endswith(REST_SUFFIX)
                margins[one, other] = 0 if one == other else PARENT_MARGIN if parent else SIBLING_MARGIN
    return margins


def hierarchy_loss(text: Float[Tensor, "t d"], margins: Float[Tensor, "t t"]) -> Float[Tensor, ""]:
    """Mean of |1 - cos(a, b) - margin| over the related pairs; without relations 0.

    Source: AHS-Seg, hierarchy loss, which in the published code never receives relations.
    """
    first, second = margins.triu(1).nonzero(as_tuple=True)
    if not len(first):
        return text.sum() * 0
    words = F.normalize(text, dim=-1)
    distance = 1 - (words[first] * words[second]).sum(-1)
    return (distance - margins[first, second]).abs().mean()

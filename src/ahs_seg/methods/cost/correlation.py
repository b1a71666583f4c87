"""The cost volume: cosine similarities of all patches and all classes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from ahs_seg.modules.full_precision import full_precision, widened

_CLASSES_AT_ONCE = 1024
_LEAST_SQUARE = 1e-24  # that of F.normalize


def cosine_cost(
    dense: Float[Tensor, "b d h w"],
    text: Float[Tensor, "#b t p d"] | Float[Tensor, "t p d"],
) -> Float[Tensor, "b p t h w"]:
    """Cosine similarity of every patch with every prompt of every class, in [-1, 1].

    `text` may have a leading axis: `b` if each image has its own classes, 1 if all images share them. Computed in
    float32 under autocast, too: the classes of a patch often differ by less than the last digit of a shorter type.
    """
    with full_precision(dense.device):
        patches, words = F.normalize(widened(dense), dim=1), F.normalize(widened(text), dim=-1)
        per_image = "btpd" if words.ndim == 4 else "tpd"
        return torch.einsum(f"bdhw,{per_image}->bpthw", patches, words)


@dataclass(frozen=True, slots=True)
class PerClassShift:
    """What a projection per class adds to the patch features: a prompt is compared with `dense + share * shift`."""

    shift: Float[Tensor, "b d h w"]
    shares: Float[Tensor, "#b t p"]

    def of_classes(self, chunk: slice) -> PerClassShift:
        """The same for some of the classes."""
        return PerClassShift(self.shift, self.shares[:, chunk])

    def cost(self, dense: Float[Tensor, "b d h w"], text: Float[Tensor, "#b t p d"]) -> Float[Tensor, "b p t h w"]:
        """Cosine similarity of `dense + share * shift` with every prompt of every class, in [-1, 1].

        No map per class is made: with dense features a, shift b and share c the similarity to the unit vector t is
        (<a, t> + c <b, t>) / sqrt(|a|^2 + 2 c <a, b> + c^2 |b|^2).
        """
        with full_precision(dense.device):
            fixed, shift, words = widened(dense), widened(self.shift), F.normalize(widened(text), dim=-1)
            share = widened(self.shares).transpose(1, 2)[..., None, None]
            per_image = ("btpd" if len(words) > 1 else "tpd", words if len(words) > 1 else words[0])
            along, added = (torch.einsum(f"bdhw,{per_image[0]}->bpthw", one, per_image[1]) for one in (fixed, shift))
            parts = (fixed * fixed, fixed * shift, shift * shift)
            square, mixed, shifted = (part.sum(1)[:, None, None] for part in parts)
            length = (square + 2 * share * mixed + share.square() * shifted).clamp(min=_LEAST_SQUARE).sqrt()
            return (along + share * added) / length


def most_similar_classes(
    dense: Float[Tensor, "b d h w"], text: Float[Tensor, "t p d"], count: int, change: PerClassShift | None = None
) -> Int[Tensor, "b k"]:
    """Indices of the `count` classes of each image with the highest cost at any patch and prompt, ascending.

    Source: CAT-Seg, cost aggregation with more classes than the padding length.
    """
    chunks = [slice(first, first + _CLASSES_AT_ONCE) for first in range(0, len(text), _CLASSES_AT_ONCE)]
    costs = (
        cosine_cost(dense, text[chunk]) if change is None else change.of_classes(chunk).cost(dense, text[None, chunk])
        for chunk in chunks
    )
    best = [cost.amax((1, 3, 4)) for cost in costs]
    return torch.cat(best, 1).topk(count, dim=1).indices.sort(1).values

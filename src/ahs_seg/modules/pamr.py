"""PAMR, pixel-adaptive mask refinement: score maps averaged over neighbours of similar colour."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

_WEIGHT = 0.1
_EPSILON = 1e-8
_STEPS = [(row, column) for row, column in product((-1, 0, 1), repeat=2) if (row, column) != (0, 0)]


def pamr_affinity(image: Float[Tensor, "3 H W"], dilations: Sequence[int]) -> Float[Tensor, "j H W"]:
    """The weights of the 8 neighbours of every pixel at each dilation (distance in pixels); they sum to 1 over j.

    The softmax over all neighbours of the negative colour difference, relative to 0.1 times the standard deviation of
    the colours of pixel and neighbours, mean over the channels. Borders are replicated. An affine change of a channel,
    such as a normalisation, changes nothing.

    Source: Araslanov and Roth, CVPR 2020, section 4.2; the standard deviation is over n - 1 values, in which the pixel
    counts once per dilation.
    """
    total, squares, count = torch.zeros_like(image), torch.zeros_like(image), 9 * len(dilations)
    for moved in _neighbours(image, dilations):  # relative to the pixel itself, which keeps the sums small
        total += moved - image
        squares += (moved - image).square()
    spread = ((squares - total.square() / count) / (count - 1)).clamp(min=0).sqrt()
    scale = _EPSILON + _WEIGHT * spread
    logits = [-((image - moved).abs() / scale).mean(0) for moved in _neighbours(image, dilations)]
    return torch.stack(logits).softmax(0)


def refine(
    maps: Float[Tensor, "c H W"], affinity: Float[Tensor, "j H W"], dilations: Sequence[int], *, iterations: int
) -> Float[Tensor, "c H W"]:
    """Maps that are replaced `iterations` times by the mean over neighbours, weighted by `pamr_affinity`."""
    for _ in range(iterations):
        mean = torch.zeros_like(maps)
        for weight, moved in zip(affinity, _neighbours(maps, dilations), strict=True):
            mean.addcmul_(weight, moved)
        maps = mean
    return maps


def _neighbours(maps: Float[Tensor, "c H W"], dilations: Sequence[int]) -> list[Float[Tensor, "c H W"]]:
    """The maps moved to each neighbour, the 8 directions at the first dilation first; views of one padded copy."""
    height, width = maps.shape[-2:]
    far = max(dilations)
    padded = F.pad(maps[None], (far, far, far, far), mode="replicate")[0]
    return [
        padded[:, far + d * down : far + d * down + height, far + d * right : far + d * right + width]
        for d in dilations
        for down, right in _STEPS
    ]

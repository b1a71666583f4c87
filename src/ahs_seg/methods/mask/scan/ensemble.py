"""SCAN's ensemble: class scores of mask proposals combined with CLIP's class scores of their masked crops."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from jaxtyping import Bool, Float
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor

from ahs_seg.config import Config

Share = Annotated[float, Field(ge=0, le=1)]


class EnsembleConfig(Config):
    """Config of SCAN's second stage: encoding of masked crops by CLIP, and combination with the proposal scores.

    Pixels with a mask probability above `threshold` belong to a mask. `weight` 0 uses only the scores of the proposals,
    1 only those of CLIP. A share `ratio` of the background patches of a crop is replaced with the class token of the
    whole image: evenly spaced ("even"), or randomly for each image from `seed` ("random", as published, but without a
    seed there). An empty mask has no crop; CLIP's probability of every class is then 1 ("one", as published) or equal
    for all classes ("uniform"). `batch` crops are encoded at a time.

    Source: SCAN (Liu et al., CVPR 2024); the defaults are ours for arbitrary vocabularies; its released code has
    different values for each benchmark (`evaluation.protocols`).
    """

    threshold: Share = 0.4
    weight: Share = 0.7
    ratio: Share = 0.05
    combination: Literal["product", "log"] = "product"
    choice: Literal["even", "random"] = "even"
    seed: NonNegativeInt = 0
    unscored: Literal["one", "uniform"] = "one"
    batch: PositiveInt = 32

    @property
    def title(self) -> str:
        """A readable summary of the settings, for reports."""
        choice = "" if self.choice == "even" else f" drawn from seed {self.seed}"
        numbers = f"threshold {self.threshold:g}, weight {self.weight:g}, {self.ratio:g} of background{choice}"
        return f"masks by {numbers}, {self.combination}" + (", no crop: uniform" * (self.unscored == "uniform"))


def crop_probabilities(
    similarity: Float[Tensor, "*b q k"], valid: Bool[Tensor, "*b q"], unscored: Literal["one", "uniform"]
) -> Float[Tensor, "*b q k"]:
    """CLIP's class probabilities of the crops from scaled similarities; `unscored` sets those of empty masks."""
    otherwise = 1.0 if unscored == "one" else 1 / similarity.shape[-1]
    return torch.where(valid.unsqueeze(-1), similarity.softmax(-1), otherwise)


def combine(
    inside: Float[Tensor, "*b q k"],
    no_object: Float[Tensor, "*b q"],
    outside: Float[Tensor, "*b q k"],
    *,
    weight: float,
    combination: Literal["product", "log"],
) -> Float[Tensor, "*b q k"]:
    """Scores in [0, 1] of every proposal for every class.

    `inside` are the class probabilities of the proposals (they sum to one with `no_object`), `outside` those of CLIP;
    `weight` 0 gives `inside`, 1 gives `outside`. "product" is the weighted geometric mean, not normalised; "log"
    normalises it, adds the probability `no_object`, and normalises again. Source: SCAN (Liu et al., CVPR 2024).
    """
    product = inside ** (1 - weight) * outside**weight
    if combination == "product":
        return product
    known = product / product.sum(-1, keepdim=True).clamp(min=torch.finfo(product.dtype).tiny)
    shares = torch.cat([known * (1 - no_object).unsqueeze(-1), no_object.unsqueeze(-1)], -1) + 1e-8
    return (shares / shares.sum(-1, keepdim=True))[..., :-1]

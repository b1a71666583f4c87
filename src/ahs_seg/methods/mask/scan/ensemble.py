"""Calibrated ensemble: what the proposals say of themselves, and what CLIP says of their pictures."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from jaxtyping import Bool, Float
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor

from ahs_seg.config import Config

Share = Annotated[float, Field(ge=0, le=1)]


class EnsembleConfig(Config):
    """How CLIP looks at the pictures of the masks, and how its answer is combined with the proposals' own.

    Pixels whose sigmoid is above `threshold` belong to a mask. `weight` 0 is the proposals' answer alone, 1 CLIP's.
    Of the patches of a picture that show nothing, `ratio` become the class token of the whole image: evenly spread
    ("even"), or drawn for each image from `seed` ("random", as published, though there without a seed). A mask without
    pixels has no picture; CLIP's probability of every class is then 1, as published, or the same for all
    ("uniform"). `batch` pictures run at a time.

    Source: SCAN (Liu et al., CVPR 2024); the defaults are ours for free vocabularies, and its released code has others
    for each benchmark (`protocols`).
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
        """The settings in words, for reports."""
        choice = "" if self.choice == "even" else f" drawn from seed {self.seed}"
        numbers = f"threshold {self.threshold:g}, weight {self.weight:g}, {self.ratio:g} of background{choice}"
        return f"masks by {numbers}, {self.combination}" + (", no picture: uniform" * (self.unscored == "uniform"))


def picture_probabilities(
    similarity: Float[Tensor, "*b q k"], valid: Bool[Tensor, "*b q"], unscored: Literal["one", "uniform"]
) -> Float[Tensor, "*b q k"]:
    """CLIP's probabilities of the pictures from scaled similarities; of masks without one as `unscored` says."""
    otherwise = 1.0 if unscored == "one" else 1 / similarity.shape[-1]
    return torch.where(valid.unsqueeze(-1), similarity.softmax(-1), otherwise)


def combine(
    inside: Float[Tensor, "*b q k"],
    void: Float[Tensor, "*b q"],
    outside: Float[Tensor, "*b q k"],
    *,
    weight: float,
    combination: Literal["product", "log"],
) -> Float[Tensor, "*b q k"]:
    """Scores in [0, 1] of every proposal for every class.

    `inside` are its own probabilities (with `void` they add up to one), `outside` those of CLIP; `weight` 0 gives
    `inside`, 1 gives `outside`. "product" is the weighted geometric mean, not normalised; "log" normalises it, gives
    `void` its share, and normalises again. Source: SCAN (Liu et al., CVPR 2024).
    """
    product = inside ** (1 - weight) * outside**weight
    if combination == "product":
        return product
    known = product / product.sum(-1, keepdim=True).clamp(min=torch.finfo(product.dtype).tiny)
    shares = torch.cat([known * (1 - void).unsqueeze(-1), void.unsqueeze(-1)], -1) + 1e-8
    return (shares / shares.sum(-1, keepdim=True))[..., :-1]

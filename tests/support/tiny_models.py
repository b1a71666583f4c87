"""A stub method that is quick and easy to recompute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ahs_seg.methods.base import Method
from ahs_seg.types import ImageFeatures, Output, Words
from tests.support.builders import random_backbone


@dataclass(frozen=True, slots=True, kw_only=True)
class ColourFeatures(ImageFeatures):
    """What `ColourMethod` reads of an image besides the backbone's features."""

    colours: Float[Tensor, "b c h w"]


class ColourMethod(Method):
    """Logits are fixed random functions of colour, one per class, on a coarse grid; quick, and easy to recompute.

    Class k of the text tensor looks at the colours only through its embedding, so permuting classes permutes logits.
    """

    def __init__(self, *, keep: int | None = None, seed: int = 0) -> None:
        super().__init__()
        self.backbone = random_backbone(resolution=32, dim=16, seed=seed)
        generator = torch.Generator().manual_seed(seed)
        self.mix = nn.Parameter(torch.randn(16, 9, generator=generator))
        self.keep = keep
        self.seen: list[tuple[int, ...]] = []

    def encode(self, images: Tensor) -> ColourFeatures:
        self.seen.append(tuple(images.shape))
        small = F.interpolate(images, size=(12, 12), mode="bilinear")
        colours = torch.cat([small, small.square(), (6 * small).sin()], 1)
        dense = self.backbone.encode_image(F.interpolate(images, size=(32, 32))).dense
        return ColourFeatures(dense, colours=colours)

    def decode(self, features: ColourFeatures, text: Words) -> Output:
        words = self.ensure_prepared(text)
        logits = torch.einsum("td,dc,bchw->bthw", words.embeddings.mean(1), self.mix, features.colours) * 3
        kept = None
        if self.keep is not None and len(words) > self.keep:
            best = logits.flatten(2).amax(-1).topk(self.keep, dim=1).indices
            kept = best[:, torch.randperm(self.keep, generator=torch.Generator().manual_seed(1))]
            logits = torch.stack([one[rows] for one, rows in zip(logits, kept, strict=True)])
        return Output(logits, features, words, features.dense, kept)

    def scores(self, logits: Tensor) -> Tensor:
        return logits.sigmoid()

    def for_inference(self, options: Mapping[str, Any] | None = None) -> Self:
        """The method itself, so that a test sees what it was shown."""
        del options
        return self


ROWS = 5


class LocalMethod(ColourMethod):
    """Logits on a grid of a quarter of the size, from what is at most one cell away; nothing else matters."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone.resolution = 4096
        generator = torch.Generator().manual_seed(3)
        self.look = nn.Parameter(torch.randn(ROWS, 3, 3, 3, generator=generator))
        self.asked: list[tuple[int, ...]] = []

    def forward(self, images: Tensor, text: Words) -> Output:
        self.asked.append(tuple(images.shape))
        cells = F.avg_pool2d(images - 0.5, 4)
        logits = F.conv2d(F.pad(cells, (1, 1, 1, 1)), self.look) * 3
        return replace(super().forward(images, text), logits=logits)

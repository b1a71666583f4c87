"""A stub method that is quick and easy to recompute."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ahs_seg.types import ClassText, Output, Words
from tests.support.builders import random_backbone


class ColourMethod(nn.Module):
    """Logits are fixed random functions of colour, one per class, on a coarse grid; quick, and easy to recompute.

    Class k of the text tensor looks at the colours only through its embedding, so permuting classes permutes logits.
    """

    def __init__(self, *, grid: int = 12, keep: int | None = None, seed: int = 0) -> None:
        super().__init__()
        self.backbone = random_backbone(resolution=32, dim=16, seed=seed)
        generator = torch.Generator().manual_seed(seed)
        self.mix = nn.Parameter(torch.randn(16, 9, generator=generator))
        self.grid = grid
        self.keep = keep
        self.seen: list[tuple[int, ...]] = []

    def forward(self, images: Tensor, text: Words) -> Output:
        words = text if isinstance(text, ClassText) else self.prepare(text)
        text = words.embeddings
        self.seen.append(tuple(images.shape))
        small = F.interpolate(images, size=(self.grid, self.grid), mode="bilinear")
        colours = torch.cat([small, small.square(), (6 * small).sin()], 1)
        logits = torch.einsum("td,dc,bchw->bthw", text.mean(1), self.mix, colours) * 3
        kept = None
        if self.keep is not None and len(text) > self.keep:
            best = logits.flatten(2).amax(-1).topk(self.keep, dim=1).indices
            kept = best[:, torch.randperm(self.keep, generator=torch.Generator().manual_seed(1))]
            logits = torch.stack([one[rows] for one, rows in zip(logits, kept, strict=True)])
        features = self.backbone.encode_image(F.interpolate(images, size=(32, 32)))
        return Output(logits, features, words, features.dense, kept)

    def prepare(self, text: Tensor, seen: Tensor | None = None) -> ClassText:
        return ClassText(text, text, seen)

    def scores(self, logits: Tensor) -> Tensor:
        return logits.sigmoid()

    def merged(self, *, class_pooling: int | None = None) -> ColourMethod:
        return self

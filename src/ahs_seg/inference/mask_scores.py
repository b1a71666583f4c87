"""Per-class scores at full image size from mask proposals, computed in horizontal bands to bound the memory.

Masks and the scores of all text rows at full size would take gigabytes. In each band the masks are resized once. Bounds
of the masks over blocks of pixels give bounds of the score of every text row, so that exact scores are computed only
for the rows that can be the best somewhere in the band.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from ahs_seg.inference.score_maps import FLOAT_BYTES, ROUNDING
from ahs_seg.types import MaskProposals

BLOCK = 16
"""Side in pixels of the blocks over which minimum and maximum of the masks are taken."""
FLOOR = 1e-8
"""Lower bound of scores before the logarithm is taken."""


@dataclass(frozen=True)
class MaskView:
    """The mask proposals of one view of an image (`MaskProposals` without the batch axis)."""

    masks: Float[Tensor, "q h w"]
    classes: Float[Tensor, "q t"]
    padded_size: tuple[int, int]
    size: tuple[int, int]
    resized: Literal["logits", "sigmoids"] = "logits"

    @property
    def kept_rows(self) -> None:
        """Always None: mask proposals have scores for all text rows."""
        return

    @property
    def device(self) -> torch.device:
        """The device of the masks."""
        return self.masks.device

    def logits_at(self, rows: Int[Tensor, " c"], size: tuple[int, int]) -> Float[Tensor, "c H W"]:
        """Logarithms of the scores of the given text rows at a size in pixels."""
        return MaskScores(self, size)(rows).clamp(min=FLOOR).log()

    def masks_at(self, size: tuple[int, int], top: int = 0, bottom: int | None = None) -> Float[Tensor, "q r W"]:
        """Sigmoids of the mask logits in the pixel rows `top` to `bottom` (exclusive) of the image at `size`.

        The logits are resized to the padded image and cropped to the image; then they, or their sigmoids, are resized
        to `size`.
        """
        vertical, horizontal = self._to_output(0, size[0])[top:bottom], self._to_output(1, size[1])
        if self.resized == "logits":
            return self._between(vertical @ self._to_image(0), horizontal @ self._to_image(1)).sigmoid()
        first, last = _span(vertical)
        masks = self._between(self._to_image(0)[first:last], self._to_image(1)).sigmoid()
        return vertical[:, first:last] @ (masks @ horizontal.T)

    def _between(self, vertical: Float[Tensor, "n h"], horizontal: Float[Tensor, "m w"]) -> Float[Tensor, "q n m"]:
        """The mask logits after one linear operator (matrix) along each axis."""
        first, last = _span(vertical)
        return vertical[:, first:last] @ (self.masks[:, first:last].float() @ horizontal.T)

    def _to_image(self, axis: int) -> Float[Tensor, "n m"]:
        """The matrix that resizes one axis to the padded image and crops it to the image."""
        steps = torch.eye(self.masks.shape[1 + axis], device=self.device)[None]
        return _resized(steps, self.padded_size[axis])[0, :, : self.size[axis]].T

    def _to_output(self, axis: int, length: int) -> Float[Tensor, "n m"]:
        """The matrix that resizes one axis from the size of the view to `length` (bilinear)."""
        return _resized(torch.eye(self.size[axis], device=self.device)[None], length)[0].T


def _span(operator: Float[Tensor, "n m"]) -> tuple[int, int]:
    """Index of the first and the last (exclusive) input with a non-zero weight."""
    used = operator.any(0).nonzero()
    return int(used[0]), int(used[-1]) + 1


def _resized(lines: Float[Tensor, "1 n m"], length: int) -> Float[Tensor, "1 n l"]:
    if lines.shape[-1] == length:
        return lines
    return F.interpolate(lines, size=length, mode="linear", align_corners=False)


@dataclass(frozen=True)
class MaskScores:
    """Per-class scores of the mask proposals of one view at a size in pixels."""

    view: MaskView
    size: tuple[int, int]

    @property
    def row_bytes(self) -> int:
        """Bytes of one score map."""
        return FLOAT_BYTES * self.size[0] * self.size[1]

    def __call__(self, rows: Int[Tensor, " c"]) -> Float[Tensor, "c H W"]:
        """The scores of the given text rows."""
        parts = [band(rows) for band in self._bands(4 * self.row_bytes)]
        return torch.cat(parts, 1)

    def bands(self, rows: Int[Tensor, " c"], memory_bytes: int) -> Iterator[tuple[MaskBand, Int[Tensor, " k"]]]:
        """Yield bands from top to bottom, each with the text rows that can have the highest score somewhere in it."""
        for band in self._bands(memory_bytes):
            yield band, band.possible_winners(rows)

    def _bands(self, memory_bytes: int) -> Iterator[MaskBand]:
        """Yield bands made of whole blocks, whose masks fit into half of the memory; at least one block high."""
        height, width = self.size
        blocks = memory_bytes // (2 * FLOAT_BYTES * len(self.view.masks) * width * BLOCK)
        step = BLOCK * max(1, blocks)
        for top in range(0, height, step):
            yield MaskBand(self.view.masks_at(self.size, top, min(top + step, height)), self.view.classes)


@dataclass(frozen=True)
class MaskBand:
    """A horizontal band of an image: the masks in its pixel rows, and the class scores of the proposals."""

    masks: Float[Tensor, "q r W"]
    classes: Float[Tensor, "q t"]

    @property
    def row_bytes(self) -> int:
        """Bytes of two score maps of the band."""
        return 2 * FLOAT_BYTES * self.masks[0].numel()

    def __call__(self, rows: Int[Tensor, " c"]) -> Float[Tensor, "c r W"]:
        """Scores of the given text rows: class scores weighted by the masks and divided by max(1, sum of the masks)."""
        scores = self.classes[:, rows].T.float() @ self.masks.flatten(1)
        return scores.view(-1, *self.masks.shape[1:]) / self._weight

    @cached_property
    def _weight(self) -> Float[Tensor, "r W"]:
        return self.masks.sum(0).clamp(min=1)

    def possible_winners(self, rows: Int[Tensor, " c"]) -> Int[Tensor, " k"]:
        """The text rows among `rows` that can have the highest score in some block; no winner is left out.

        Minimum and maximum of each mask over a block give a lower and an upper bound of the score of every text row. A
        row whose upper bound is below the lower bound of another row in every block never has the highest score.
        """
        greatest = F.max_pool2d(self.masks, BLOCK, ceil_mode=True).flatten(1)
        least = -F.max_pool2d(-self.masks, BLOCK, ceil_mode=True).flatten(1)
        classes = self.classes[:, rows].T.float()
        bar = (classes @ least).amax(0) * (1 - ROUNDING * len(self.masks)) - ROUNDING
        return rows[(classes @ greatest >= bar).any(1)]


def mask_views(proposals: MaskProposals) -> list[MaskView]:
    """The mask proposals of each image of a batch."""
    pairs = zip(proposals.masks, proposals.classes, strict=True)
    padded_size, size, resized = proposals.padded_size, proposals.size, proposals.resized
    return [MaskView(masks, classes, padded_size, size, resized) for masks, classes in pairs]

"""From mask proposals to the scores of rows at picture size: bands of pixels, and in each band only rows that can win.

Masks at picture size, and scores of all rows there, would take gigabytes. In a band the masks are formed once; where
blocks of pixels bound them, the class scores bound every row, and only contenders are multiplied out.
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
"""Side in pixels of the blocks in which masks are bounded."""
FLOOR = 1e-8
"""Least score whose logarithm is taken."""


@dataclass(frozen=True)
class MaskView:
    """The proposals of one view of a picture (`MaskProposals`, without the batch)."""

    masks: Float[Tensor, "q h w"]
    classes: Float[Tensor, "q t"]
    padded_size: tuple[int, int]
    size: tuple[int, int]
    resized: Literal["logits", "sigmoids"] = "logits"

    @property
    def kept_rows(self) -> None:
        """Proposals score every row."""
        return

    @property
    def device(self) -> torch.device:
        """Where the masks lie."""
        return self.masks.device

    def logits_at(self, rows: Int[Tensor, " c"], size: tuple[int, int]) -> Float[Tensor, "c H W"]:
        """Logarithms of the scores of some rows at a size in pixels."""
        return MaskScores(self, size)(rows).clamp(min=FLOOR).log()

    def masks_at(self, size: tuple[int, int], top: int = 0, bottom: int | None = None) -> Float[Tensor, "q r W"]:
        """Sigmoids of the masks in pixel rows `top` to `bottom` of the picture at `size`.

        Logits are resized to the padded image and cut to the image; they (or their sigmoids) are resized to `size`.
        """
        vertical, horizontal = self._to_picture(0, size[0])[top:bottom], self._to_picture(1, size[1])
        if self.resized == "logits":
            return self._between(vertical @ self._to_image(0), horizontal @ self._to_image(1)).sigmoid()
        first, last = _span(vertical)
        masks = self._between(self._to_image(0)[first:last], self._to_image(1)).sigmoid()
        return vertical[:, first:last] @ (masks @ horizontal.T)

    def _between(self, vertical: Float[Tensor, "n h"], horizontal: Float[Tensor, "m w"]) -> Float[Tensor, "q n m"]:
        """The logits after an operator along each axis."""
        first, last = _span(vertical)
        return vertical[:, first:last] @ (self.masks[:, first:last].float() @ horizontal.T)

    def _to_image(self, axis: int) -> Float[Tensor, "n m"]:
        """What resizing to the padded image and cropping do along one axis, as a matrix."""
        steps = torch.eye(self.masks.shape[1 + axis], device=self.device)[None]
        return _resized(steps, self.padded_size[axis])[0, :, : self.size[axis]].T

    def _to_picture(self, axis: int, length: int) -> Float[Tensor, "n m"]:
        """What resizing from the image to the picture does along one axis, as a matrix."""
        return _resized(torch.eye(self.size[axis], device=self.device)[None], length)[0].T


def _span(operator: Float[Tensor, "n m"]) -> tuple[int, int]:
    """First and last (exclusive) place that an operator reads."""
    used = operator.any(0).nonzero()
    return int(used[0]), int(used[-1]) + 1


def _resized(lines: Float[Tensor, "1 n m"], length: int) -> Float[Tensor, "1 n l"]:
    if lines.shape[-1] == length:
        return lines
    return F.interpolate(lines, size=length, mode="linear", align_corners=False)


@dataclass(frozen=True)
class MaskScores:
    """Scores of the proposals of one view at a size in pixels."""

    view: MaskView
    size: tuple[int, int]

    @property
    def row_bytes(self) -> int:
        """One map of one row."""
        return FLOAT_BYTES * self.size[0] * self.size[1]

    def __call__(self, rows: Int[Tensor, " c"]) -> Float[Tensor, "c H W"]:
        """The scores of some rows."""
        parts = [band(rows) for band in self._bands(4 * self.row_bytes)]
        return torch.cat(parts, 1)

    def bands(self, rows: Int[Tensor, " c"], memory_bytes: int) -> Iterator[tuple[MaskBand, Int[Tensor, " k"]]]:
        """Bands from top to bottom, each with the rows that can be the best somewhere in it."""
        for band in self._bands(memory_bytes):
            yield band, band.contenders(rows)

    def _bands(self, memory_bytes: int) -> Iterator[MaskBand]:
        """Bands of whole blocks whose masks fit into half of the memory, at least one block high."""
        height, width = self.size
        blocks = memory_bytes // (2 * FLOAT_BYTES * len(self.view.masks) * width * BLOCK)
        step = BLOCK * max(1, blocks)
        for top in range(0, height, step):
            yield MaskBand(self.view.masks_at(self.size, top, min(top + step, height)), self.view.classes)


@dataclass(frozen=True)
class MaskBand:
    """Some pixel rows of a picture: the masks there, and what they are masks of."""

    masks: Float[Tensor, "q r W"]
    classes: Float[Tensor, "q t"]

    @property
    def row_bytes(self) -> int:
        """One map of one row, twice."""
        return 2 * FLOAT_BYTES * self.masks[0].numel()

    def __call__(self, rows: Int[Tensor, " c"]) -> Float[Tensor, "c r W"]:
        """The scores of some rows: their mean over the masks; where masks are faint, less."""
        scores = self.classes[:, rows].T.float() @ self.masks.flatten(1)
        return scores.view(-1, *self.masks.shape[1:]) / self._weight

    @cached_property
    def _weight(self) -> Float[Tensor, "r W"]:
        return self.masks.sum(0).clamp(min=1)

    def contenders(self, rows: Int[Tensor, " c"]) -> Int[Tensor, " k"]:
        """Those of `rows` that can be the best in some block; exact.

        In a block a mask lies between its least and its greatest value there, so a row's sum lies between the sums
        with either. A row whose upper sum is below another row's lower sum in every block is never the best.
        """
        greatest = F.max_pool2d(self.masks, BLOCK, ceil_mode=True).flatten(1)
        least = -F.max_pool2d(-self.masks, BLOCK, ceil_mode=True).flatten(1)
        classes = self.classes[:, rows].T.float()
        bar = (classes @ least).amax(0) * (1 - ROUNDING * len(self.masks)) - ROUNDING
        return rows[(classes @ greatest >= bar).any(1)]


def mask_views(proposals: MaskProposals) -> list[MaskView]:
    """The proposals of every image of a batch."""
    pairs = zip(proposals.masks, proposals.classes, strict=True)
    padded_size, size, resized = proposals.padded_size, proposals.size, proposals.resized
    return [MaskView(masks, classes, padded_size, size, resized) for masks, classes in pairs]

"""Scores that are a softmax over all text rows, taken after the views are merged, a few rows at a time.

The logits of all rows at full image size would take gigabytes. What the softmax divides by is one map, which is summed
up while the rows are computed for the search of the best one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ahs_seg.inference.score_maps import FLOAT_BYTES, ScoreMaps
from ahs_seg.methods.refinement import PamrConfig
from ahs_seg.modules.pamr import pamr_affinity, refine


@dataclass(frozen=True)
class SoftmaxScores:
    """Softmax over all text rows (`rows`) of logits at full image size; at every pixel the scores sum to 1."""

    logits: ScoreMaps
    rows: Int[Tensor, " t"]
    size: tuple[int, int]
    memory_bytes: int

    @property
    def row_bytes(self) -> int:
        """Bytes of the logits of one text row and of two maps."""
        return self.logits.row_bytes + 2 * FLOAT_BYTES * self.size[0] * self.size[1]

    def __call__(self, rows: Int[Tensor, " c"]) -> Float[Tensor, "c H W"]:
        """The scores of the given text rows."""
        return (self.logits(rows) - self.total).exp()

    def ranked(self) -> RunningSoftmax:
        """The logits, and scores of values taken from them."""
        return RunningSoftmax(self)

    @cached_property
    def total(self) -> Float[Tensor, "H W"]:
        """Logarithm of the sum of the exponentials of all logits."""
        running = RunningSoftmax(self)
        for some in torch.split(self.rows, max(1, self.memory_bytes // self.row_bytes)):
            running(some)
        assert running.total is not None, "there is at least one row"
        return running.total


@dataclass
class RunningSoftmax:
    """Logits that sum up what the softmax divides by as text rows are asked for, each once."""

    softmax: SoftmaxScores
    total: Float[Tensor, "H W"] | None = None
    seen: int = field(default=0)

    @property
    def row_bytes(self) -> int:
        """Bytes that one text row needs."""
        return self.softmax.row_bytes

    def __call__(self, rows: Int[Tensor, " c"]) -> Float[Tensor, "c H W"]:
        """The logits of the given text rows."""
        logits = self.softmax.logits(rows)
        part = logits.logsumexp(0)
        self.total = part if self.total is None else torch.logaddexp(self.total, part)
        self.seen += len(rows)
        return logits

    def scores(self, values: Float[Tensor, "*k H W"]) -> Float[Tensor, "*k H W"]:
        """The scores of logits; if not all rows have been asked for, the others are computed now."""
        if self.total is None or self.seen < len(self.softmax.rows):
            self.total, self.seen = self.softmax.total, len(self.softmax.rows)
        return (values - self.total).exp()


@dataclass(frozen=True)
class RefinedMaps:
    """Maps refined by the image at full size (PAMR), a few text rows at a time."""

    maps: ScoreMaps
    image: Float[Tensor, "3 H W"]
    config: PamrConfig

    @property
    def row_bytes(self) -> int:
        """Bytes of one text row: its map, two steps of the refinement and a padded copy."""
        return self.maps.row_bytes + 4 * FLOAT_BYTES * self.image[0].numel()

    def __call__(self, rows: Int[Tensor, " c"]) -> Float[Tensor, "c H W"]:
        """The refined maps of the given text rows."""
        return refine(self.maps(rows), self._weights, self.config.dilations, iterations=self.config.iterations)

    @cached_property
    def _weights(self) -> Float[Tensor, "j H W"]:
        return pamr_affinity(self.image, self.config.dilations)

"""Class aggregation: attention across classes at each position, in constant memory for linear attention."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import reduce
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ahs_seg.config import ConfigError
from ahs_seg.modules.full_precision import full_precision, widened
from ahs_seg.modules.guided import GuidedLinear

AttentionKind = Literal["linear", "full"]


class ClassSummary(NamedTuple):
    """Key and value information of all classes, as class attention needs it for the queries of any class.

    Linear attention: the sums over classes of f(key) value^T and of f(key), in float32, because sums over many classes
    overflow fp16 and lose terms in bf16. Full attention: the keys and the values.
    """

    first: Tensor
    second: Tensor


class ClassAggregation(nn.Module):
    """Attention across classes (linear or full) and an MLP on pooled maps; the result is added to the input maps.

    Classes are processed in chunks: `summarise` each chunk, `combine` the summaries, then `forward` each chunk. The
    original pads the classes to `pad_length` with copies of one learnable token; all copies are equal, so here they are
    one weighted term. Pooling has no parameters and may differ between training and evaluation.

    Source: CAT-Seg, class aggregation. As in the original the result contains the pooled input, which is thus added
    twice, and there is no output projection.
    """

    def __init__(self, dim: int, guidance_dim: int, *, heads: int, pad_length: int, kind: AttentionKind) -> None:
        super().__init__()
        self.heads = heads
        self.pad_length = pad_length
        self.kind = kind
        self.norm1 = nn.LayerNorm(dim)
        self.query = GuidedLinear(dim, guidance_dim)
        self.key = GuidedLinear(dim, guidance_dim)
        self.value = nn.Linear(dim, dim)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.ReLU(), nn.Linear(4 * dim, dim))
        self.padding_token = nn.Parameter(torch.zeros(dim))
        self.padding_guidance = nn.Parameter(torch.zeros(guidance_dim))

    def guide(self, text: Float[Tensor, "b t g"]) -> tuple[Tensor, Tensor]:
        """The guidance terms of queries and keys, [b t 1 1 c]; equal at every position."""
        text = text[:, :, None, None]
        return self.query.guide(text), self.key.guide(text)

    def summarise(
        self, maps: Float[Tensor, "b t h w c"], guidance: tuple[Tensor, Tensor], pooling: int
    ) -> ClassSummary:
        """The class summary of one chunk of classes."""
        normed = self.norm1(pool(maps, pooling))
        key = self._split(self.key(normed, guidance[1]))
        value = self._split(self.value(normed))
        return self._summary(key, value)

    def combine(self, parts: Iterable[ClassSummary], count: int) -> ClassSummary:
        """The class summary of all `count` classes, including the padding.

        Linear attention keeps only one summary of a chunk in memory at a time.
        """
        copies = self.pad_length - count
        if copies <= 0:
            parts = self._attached(parts)
        else:
            normed = self.norm1(self.padding_token)
            key = self._split(self.key(normed, self.key.guide(self.padding_guidance))[None, None, None, None])
            padding = self._summary(key, self._split(self.value(normed)[None, None, None, None]))
        if self.kind == "full":
            first, second = (torch.cat(tensors, -2) for tensors in zip(*parts, strict=True))
            if copies > 0:  # `copies` equal keys act as one key whose logit is increased by log(copies)
                shape = (*first.shape[:-2], 1, first.shape[-1])
                first = torch.cat([first, padding.first.expand(shape)], -2)
                second = torch.cat([second, padding.second.expand(shape)], -2)
            return ClassSummary(first, second)
        total = reduce(_add, parts)
        return _add(total, ClassSummary(copies * padding.first, copies * padding.second)) if copies > 0 else total

    def forward(
        self,
        maps: Float[Tensor, "b t h w c"],
        guidance: tuple[Tensor, Tensor],
        summary: ClassSummary,
        *,
        count: int,
        pooling: int,
    ) -> Float[Tensor, "b t h w c"]:
        """The maps of a chunk after attention to all `count` classes."""
        pooled = pool(maps, pooling)
        query = self._split(self.query(self.norm1(pooled), guidance[0]))
        mixed = self._read(query, summary, count)
        pooled = pooled + mixed.permute(0, 4, 1, 2, 3, 5).flatten(-2)
        pooled = pooled + self.mlp(self.norm2(pooled))
        return maps + unpool(pooled, maps.shape[2:4])

    def _attached(self, parts: Iterable[ClassSummary]) -> Iterator[ClassSummary]:
        """The same summaries, with the padding parameters added with weight zero.

        This keeps every trainable parameter in the graph of every step, which distributed training requires.
        """
        nothing = 0 * (self.padding_token.sum() + self.padding_guidance.sum())
        for place, part in enumerate(parts):
            yield part if place else ClassSummary(part.first, part.second + nothing)

    def _split(self, maps: Float[Tensor, "b t h w c"]) -> Float[Tensor, "b h w heads t e"]:
        return maps.unflatten(-1, (self.heads, -1)).permute(0, 2, 3, 4, 1, 5)

    def _summary(self, key: Tensor, value: Tensor) -> ClassSummary:
        if self.kind == "full":
            return ClassSummary(key, value)
        with full_precision(key.device):
            key = F.elu(widened(key)) + 1
            return ClassSummary(key.transpose(-1, -2) @ widened(value), key.sum(-2).unsqueeze(-1))

    def _read(self, query: Tensor, summary: ClassSummary, count: int) -> Float[Tensor, "b h w heads t e"]:
        if self.kind == "linear":
            with full_precision(query.device):
                wide = F.elu(widened(query)) + 1
                return ((wide @ summary.first) / (wide @ summary.second + 1e-6)).to(query.dtype)
        logits = query @ summary.first.transpose(-1, -2) * query.shape[-1] ** -0.5
        if self.pad_length > count:
            logits = torch.cat([logits[..., :-1], logits[..., -1:] + math.log(self.pad_length - count)], -1)
        return logits.softmax(-1) @ summary.second


def pool(maps: Float[Tensor, "b t h w c"], size: int) -> Float[Tensor, "b t y x c"]:
    """Maps average-pooled over size x size squares."""
    if size == 1:
        return maps
    height, width = maps.shape[2:4]
    if height % size or width % size:
        raise ConfigError(f"the grid is {height}x{width}; both sides must be multiples of class_pooling={size}")
    return maps.unflatten(3, (-1, size)).unflatten(2, (-1, size)).mean((3, 5))


def unpool(maps: Float[Tensor, "b t y x c"], grid: tuple[int, ...]) -> Float[Tensor, "b t h w c"]:
    """Maps upsampled to `grid`: bilinear with aligned corners, as in CAT-Seg."""
    if maps.shape[2:4] == tuple(grid):
        return maps
    planes = maps.flatten(0, 1).permute(0, 3, 1, 2)
    resized = F.interpolate(planes, size=tuple(grid), mode="bilinear", align_corners=True)
    return resized.permute(0, 2, 3, 1).unflatten(0, maps.shape[:2])


def _add(one: ClassSummary, other: ClassSummary) -> ClassSummary:
    return ClassSummary(one.first + other.first, one.second + other.second)

"""Spatial aggregation: shifted-window attention within the map of each class, guided by image features."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ahs_seg.config import ConfigError
from ahs_seg.modules.attention import multi_head_attention
from ahs_seg.modules.guided import GuidedLinear

_BLOCKED = -100.0


class SpatialAggregation(nn.Module):
    """Two window-attention blocks, the second with windows shifted by half; they share the norm of the guidance.

    Source: CAT-Seg, spatial aggregation; no relative position bias, no dropout.
    """

    def __init__(self, dim: int, guidance_dim: int, *, heads: int, window: int) -> None:
        super().__init__()
        self.guidance_norm = nn.LayerNorm(guidance_dim)
        self.plain = WindowBlock(dim, guidance_dim, heads=heads, window=window, shift=0)
        self.shifted = WindowBlock(dim, guidance_dim, heads=heads, window=window, shift=window // 2)

    def guide(self, appearance: Float[Tensor, "b g h w"]) -> tuple[GuidanceTerms, GuidanceTerms]:
        """The guidance terms of both blocks; equal for all classes."""
        normed = self.guidance_norm(appearance.permute(0, 2, 3, 1)).unsqueeze(1)
        return self.plain.guide(normed), self.shifted.guide(normed)

    def forward(
        self, maps: Float[Tensor, "b t h w c"], guidance: tuple[GuidanceTerms, GuidanceTerms]
    ) -> Float[Tensor, "b t h w c"]:
        """The maps of the classes after both blocks."""
        return self.shifted(self.plain(maps, guidance[0]), guidance[1])


GuidanceTerms = tuple[Tensor, Tensor]
"""The terms that the guidance adds to queries and keys: two tensors [b 1 h w c]."""


class WindowBlock(nn.Module):
    """Residual attention within windows of the grid, then a residual MLP.

    Queries and keys are linear maps of [features, guidance]. They are computed as a sum, so that the guidance term is
    computed once per image and not once per class.
    """

    def __init__(self, dim: int, guidance_dim: int, *, heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.heads = heads
        self.window = window
        self.shift = shift
        self.norm1 = nn.LayerNorm(dim)
        self.query = GuidedLinear(dim, guidance_dim)
        self.key = GuidedLinear(dim, guidance_dim)
        self.value = nn.Linear(dim, dim)
        self.output = nn.Linear(dim, dim)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def guide(self, normed: Float[Tensor, "b 1 h w g"]) -> GuidanceTerms:
        """The guidance terms of queries and keys."""
        return self.query.guide(normed), self.key.guide(normed)

    def forward(self, maps: Float[Tensor, "b t h w c"], guidance: GuidanceTerms) -> Float[Tensor, "b t h w c"]:
        """The maps after attention and MLP."""
        normed = self.norm1(maps)
        query = self._windows(self.query(normed, guidance[0]))
        key = self._windows(self.key(normed, guidance[1]))
        mask = shift_mask(maps.shape[2:4], self.window, self.shift, like=maps)
        mixed = multi_head_attention(query, key, self._windows(self.value(normed)), self.heads, mask)
        maps = maps + self._unwindows(self.output(mixed), maps.shape)
        return maps + self.mlp(self.norm2(maps))

    def _windows(self, maps: Float[Tensor, "b t h w c"]) -> Float[Tensor, "bt windows n c"]:
        height, width = maps.shape[2:4]
        side = self.window
        if height % side or width % side:
            raise ConfigError(f"the grid is {height}x{width}; both sides must be multiples of window={side}")
        if self.shift:
            maps = maps.roll((-self.shift, -self.shift), (2, 3))
        parts = maps.flatten(0, 1).unflatten(2, (-1, side)).unflatten(1, (-1, side))
        return parts.transpose(2, 3).flatten(3, 4).flatten(1, 2)

    def _unwindows(self, windows: Float[Tensor, "bt windows n c"], shape: torch.Size) -> Float[Tensor, "b t h w c"]:
        _, _, height, width, channels = shape
        side = self.window
        parts = windows.view(-1, height // side, width // side, side, side, channels)
        maps = parts.transpose(2, 3).reshape(shape)
        return maps.roll((self.shift, self.shift), (2, 3)) if self.shift else maps


def shift_mask(grid: tuple[int, ...], window: int, shift: int, *, like: Tensor) -> Float[Tensor, "windows n n"] | None:
    """Additive attention mask between positions that are neighbours only because the grid was rolled.

    None without a shift.
    """
    if not shift:
        return None
    regions = torch.zeros(grid, device=like.device)
    edges = (slice(0, -window), slice(-window, -shift), slice(-shift, None))
    for index in range(9):
        regions[edges[index // 3], edges[index % 3]] = index
    parts = regions.unflatten(1, (-1, window)).unflatten(0, (-1, window)).transpose(1, 2).flatten(2, 3).flatten(0, 1)
    apart = parts.unsqueeze(1) != parts.unsqueeze(2)
    return torch.zeros_like(apart, dtype=like.dtype).masked_fill(apart, _BLOCKED)

"""SCAN's semantic integration: proposal embeddings calibrated by CLIP's feature maps of the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ahs_seg.modules.full_precision import full_precision


class FrequencyFilter(nn.Module):
    """Residual frequency filter: a small network on the low-pass filtered spectrum of feature maps, in float32.

    Source: SCAN (Liu et al., CVPR 2024), semantic integration. The gain is one minus a Gaussian around index side // 2
    of a spectrum without fftshift. Index side // 2 is the highest frequency there, so this is a low-pass filter.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2 * width, 2 * width, 1)
        self.conv2 = nn.Conv2d(2 * width, 2 * width, 1)

    def forward(self, maps: Float[Tensor, "b c h w"], *, sigma: float) -> Float[Tensor, "b c h w"]:
        """The filtered maps; `sigma` is the width of the suppressed band in frequency bins."""
        with full_precision(maps.device):
            maps = maps.float()
            spectrum = torch.fft.fft2(maps) * (1 - gap(maps.shape[-2], maps.shape[-1], sigma, maps.device))
            parts = torch.cat([spectrum.real, spectrum.imag], 1)
            real, imaginary = self.conv2(self.conv1(parts).relu()).chunk(2, 1)
            return maps + torch.fft.ifft2(torch.complex(real, imaginary)).real


def gap(height: int, width: int, sigma: float, device: torch.device | None = None) -> Float[Tensor, "h w"]:
    """A Gaussian with maximum 1 at (height // 2, width // 2): the suppressed share of each frequency."""
    rows = torch.arange(height, device=device) - height // 2
    columns = torch.arange(width, device=device) - width // 2
    return torch.exp(-(rows[:, None] ** 2 + columns**2) / (2 * sigma**2))


Refinement = Literal["each_query", "all_queries"]
"""Refinement of each query separately, as published, or with self-attention between all queries."""


class QueryLayer(nn.Module):
    """A post-norm transformer layer for sequences of length one: two linear layers and an MLP on each query.

    Source: SCAN, "lightweight transformer". The published code reshapes the queries to (b*q, 1, d) before a
    batch-first transformer, so attention returns the value of the only position, queries do not interact, and the query
    and key matrices get no gradient; they are left out here.
    """

    def __init__(self, dim: int, *, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.value = nn.Linear(dim, dim)
        self.output = nn.Linear(dim, dim)
        self.linear1 = nn.Linear(dim, feedforward)
        self.linear2 = nn.Linear(feedforward, dim)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)
        nn.init.xavier_uniform_(self.value.weight, gain=0.5**0.5)  # a third of a stacked matrix with 3x rows
        nn.init.zeros_(self.value.bias)
        nn.init.zeros_(self.output.bias)

    def forward(self, queries: Float[Tensor, "b q d"]) -> Float[Tensor, "b q d"]:
        """The refined queries."""
        queries = self.norm1(queries + self.dropout(self.output(self.value(queries))))
        hidden = self.dropout(self.linear1(queries).relu())
        result: Tensor = self.norm2(queries + self.dropout(self.linear2(hidden)))
        return result


class SemanticIntegration(nn.Module):
    """Proposal embeddings calibrated by cross-attention to CLIP's filtered maps and by its image embedding.

    Source: SCAN (Liu et al., CVPR 2024), semantic integration module. `sigmas` are the widths of the frequency filter,
    one per map of CLIP, `looks` is the number of cross-attention layers, and `prior` is the initial weight of the image
    embedding.
    """

    def __init__(
        self,
        width: int,
        dim: int,
        *,
        sigmas: Sequence[float],
        looks: int = 5,
        layers: int = 5,
        heads: int = 8,
        feedforward: int = 2048,
        dropout: float = 0.1,
        prior: float = 0.1,
        refinement: Refinement = "each_query",
    ) -> None:
        super().__init__()
        self.sigmas = tuple(sigmas)
        self.filter = FrequencyFilter(width)
        self.project = nn.Sequential(nn.Linear(width, dim), nn.Linear(dim, dim))
        self.looks = nn.ModuleList(nn.MultiheadAttention(dim, heads, batch_first=True) for _ in range(looks))
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(looks - 1))
        self.prior = nn.Parameter(torch.full((1,), prior))
        self.layers = nn.ModuleList(
            QueryLayer(dim, feedforward=feedforward, dropout=dropout)
            if refinement == "each_query"
            else nn.TransformerEncoderLayer(dim, heads, feedforward, dropout, batch_first=True)
            for _ in range(layers)
        )
        for layer in self.layers[1:]:
            layer.load_state_dict(self.layers[0].state_dict())  # copies of one layer, as in the original

    def memory(self, levels: Sequence[Float[Tensor, "b c h w"]]) -> Float[Tensor, "b m d"]:
        """Keys and values of the cross-attention: the filtered maps of CLIP, projected to the joint dimension."""
        filtered = [
            self.filter(level, sigma=sigma).flatten(2) for level, sigma in zip(levels, self.sigmas, strict=True)
        ]
        result: Tensor = self.project(torch.cat(filtered, -1).transpose(1, 2))
        return result

    def forward(
        self, queries: Float[Tensor, "b q d"], memory: Float[Tensor, "b m d"], image: Float[Tensor, "b d"]
    ) -> Float[Tensor, "b q d"]:
        """The calibrated proposal embeddings; `image` is CLIP's image embedding, normalised to unit length."""
        fused = self.fuse(queries, memory) + self.prior * image.unsqueeze(1)
        for layer in self.layers:
            fused = layer(fused)
        return fused

    def fuse(self, queries: Float[Tensor, "b q d"], memory: Float[Tensor, "b m d"]) -> Float[Tensor, "b q d"]:
        """The proposal embeddings after all cross-attention layers; there is no norm after the last one."""
        for index, look in enumerate(self.looks):
            queries = queries + look(queries, memory, memory, need_weights=False)[0]
            queries = self.norms[index](queries) if index < len(self.norms) else queries
        return queries

"""The inference form of spatial aggregation: maps are cut into windows once per block, and products are fused."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from ahs_seg.methods.cost.window_attention import GuidanceTerms, SpatialAggregation, WindowBlock, shift_mask
from ahs_seg.modules.fused_linear import FusedLinear
from ahs_seg.modules.inference_form import InferenceForm, fused


class WindowForm(InferenceForm, SpatialAggregation):
    """Spatial aggregation without gradients and with less memory traffic; equal to the plain one but for rounding.

    Norms, linear layers and MLP act on single positions, in any order of them. So the positions are brought into the
    order of the windows once per block, by one permutation, in place of rolling and cutting query, key, value and
    output. Query, key and value are one product; bias, activation and residual belong to products (`FusedLinear`).
    """

    plain_class = SpatialAggregation
    parts = (WindowBlock,)

    def prepare(self) -> tuple[_Products, _Products]:
        """The products of both blocks."""
        return _products(self.plain), _products(self.shifted)

    def forward(
        self, maps: Float[Tensor, "b t h w c"], guidance: tuple[GuidanceTerms, GuidanceTerms]
    ) -> Float[Tensor, "b t h w c"]:
        """The maps of the classes after both blocks."""
        grid, blocks = (maps.shape[2], maps.shape[3]), (self.plain, self.shifted)
        fits = all(side % block.window == 0 for side in grid for block in blocks)
        if not fits or not self.usable(maps, *guidance[0], *guidance[1]):
            return super().forward(maps, guidance)
        tokens, back = maps.flatten(2, 3), torch.arange(grid[0] * grid[1])
        for block, products, terms in zip(blocks, self.prepared(), guidance, strict=True):
            places = window_places(grid, block.window, block.shift)
            tokens, back = tokens.index_select(2, back[places.order]), places.back
            tokens = _run(block, products, tokens, _joined(block, terms, places.order), places.mask)
        return tokens.index_select(2, back).view(maps.shape)


class _Products(NamedTuple):
    """The products of a block; `joined` gives query, key and value."""

    joined: FusedLinear
    output: FusedLinear
    inner: FusedLinear
    outer: FusedLinear


def _products(block: WindowBlock) -> _Products:
    width = block.query.dim
    joined = torch.cat([block.query.weight[:, :width], block.key.weight[:, :width], block.value.weight])
    return _Products(
        FusedLinear(joined, None),
        fused(block.output),
        fused(block.mlp[0]),
        fused(block.mlp[2]),
    )


class WindowPlaces(NamedTuple):
    """Where the positions of a grid are when its windows follow one another.

    `order` are the positions of the grid in this order, `back` is its inverse; `mask` is that of `shift_mask`, with an
    axis for the heads.
    """

    order: Int[Tensor, " n"]
    back: Int[Tensor, " n"]
    mask: Float[Tensor, "windows 1 m m"] | None


@lru_cache(maxsize=32)
def window_places(grid: tuple[int, int], window: int, shift: int) -> WindowPlaces:
    """The places of a grid, whose sides are multiples of `window`, on the CPU."""
    with torch.inference_mode(mode=False):
        rolled = torch.arange(grid[0] * grid[1]).view(grid).roll((-shift, -shift), (0, 1))
        order = rolled.unflatten(1, (-1, window)).unflatten(0, (-1, window)).transpose(1, 2).flatten()
        mask = shift_mask(grid, window, shift, like=torch.zeros(()))
        return WindowPlaces(order, order.argsort(), None if mask is None else mask.unsqueeze(1))


def _joined(block: WindowBlock, terms: GuidanceTerms, order: Tensor) -> Float[Tensor, "b 1 n c3"]:
    """The guidance of query and key and the bias of the value, in the order of the windows."""
    query, key = (term.flatten(2, 3) for term in terms)
    return torch.cat([query, key, block.value.bias.expand_as(query)], -1).index_select(2, order)


def _run(
    block: WindowBlock,
    products: _Products,
    tokens: Float[Tensor, "b t n c"],
    added: Float[Tensor, "b 1 n c3"],
    mask: Float[Tensor, "windows 1 m m"] | None,
) -> Float[Tensor, "b t n c"]:
    rows, width = tokens.reshape(-1, tokens.shape[-1]), tokens.shape[-1]
    joined = products.joined(block.norm1(rows)).view(*tokens.shape[:3], 3 * width).add_(added)
    parts = joined.view(-1, block.window**2, 3, block.heads, width // block.heads).permute(2, 0, 3, 1, 4)
    if mask is not None:
        mask = mask.repeat(parts.shape[1] // len(mask), 1, 1, 1)
    mixed = F.scaled_dot_product_attention(parts[0], parts[1], parts[2], attn_mask=mask)
    rows = products.output(mixed.transpose(1, 2).reshape(rows.shape), residual=rows)
    hidden = products.inner(block.norm2(rows), activation="gelu")
    return products.outer(hidden, residual=rows).view(tokens.shape)

"""The inference form of class aggregation: products are fused, and activations are computed in place."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ahs_seg.methods.cost.class_attention import ClassAggregation, ClassSummary, pool, unpool
from ahs_seg.modules.fused_linear import FusedLinear
from ahs_seg.modules.inference_form import InferenceForm, fused


class _Products(NamedTuple):
    """The products of a layer; `joined` gives key and value."""

    joined: FusedLinear
    query: FusedLinear
    inner: FusedLinear
    outer: FusedLinear


class ClassForm(InferenceForm, ClassAggregation):
    """Class aggregation without gradients and with less memory traffic; equal to the plain one but for rounding."""

    plain_class = ClassAggregation

    def prepare(self) -> _Products:
        """The products of the layer."""
        width = self.query.dim
        return _Products(
            FusedLinear(torch.cat([self.key.weight[:, :width], self.value.weight]), None),
            FusedLinear(self.query.weight[:, :width].contiguous(), None),
            fused(self.mlp[0]),
            fused(self.mlp[2]),
        )

    def summarise(
        self, maps: Float[Tensor, "b t h w c"], guidance: tuple[Tensor, Tensor], pooling: int
    ) -> ClassSummary:
        """The class summary of one chunk of classes."""
        if not self.usable(maps, *guidance):
            return super().summarise(maps, guidance, pooling)
        products: _Products = self.prepared()
        normed = self.norm1(pool(maps, pooling))
        width = normed.shape[-1]
        joined = products.joined(normed.view(-1, width)).view(*normed.shape[:-1], 2 * width)
        key = joined[..., :width].add_(guidance[1])
        value = joined[..., width:].add_(self.value.bias)
        if self.kind == "full":
            return ClassSummary(self._split(key), self._split(value))
        key = self._split(_positive(key))
        return ClassSummary(key.transpose(-1, -2) @ self._split(value), key.sum(-2).unsqueeze(-1))

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
        if self.kind != "linear" or not self.usable(maps, *guidance, *summary):
            return super().forward(maps, guidance, summary, count=count, pooling=pooling)
        products: _Products = self.prepared()
        pooled = pool(maps, pooling)
        normed = self.norm1(pooled)
        rows = normed.view(-1, normed.shape[-1])
        query = self._split(_positive(products.query(rows).view(normed.shape).add_(guidance[0])))
        mixed = (query @ summary.first).div_((query @ summary.second).add_(1e-6))
        heads = (self.heads, normed.shape[-1] // self.heads)
        pooled = pooled.unflatten(-1, heads).add(mixed.permute(0, 4, 1, 2, 3, 5)).flatten(-2)
        rows = pooled.reshape(rows.shape)
        hidden = products.inner(self.norm2(rows), activation="relu")
        pooled = products.outer(hidden, residual=rows).view(pooled.shape)
        return unpool(pooled, maps.shape[2:4]).add(maps) if pooling > 1 else pooled.add_(maps)


def _positive(values: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    """The feature map of linear attention, elu(x) + 1, in place."""
    return F.elu_(values).add_(1)

"""Tuners that select trainable weights of the backbone and add none."""

from __future__ import annotations

from typing import Literal

from ahs_seg.backbones.base import Backbone
from ahs_seg.tuners.base import TunerConfig, freeze


class Frozen(TunerConfig):
    """No tuning: all parameters of the backbone are frozen."""

    name: Literal["frozen"] = "frozen"

    def apply(self, backbone: Backbone) -> Backbone:
        """Freeze every parameter."""
        return freeze(backbone)


class Attention(TunerConfig):
    """Tuning of the query and value matrices in all blocks of both towers (CAT-Seg, CLIP_FINETUNE "attention").

    Dense features do not use the query of the last vision block. The original lists it as trainable although it never
    receives a gradient (only weight decay changes it); here it stays frozen.
    """

    name: Literal["attention"] = "attention"

    def apply(self, backbone: Backbone) -> Backbone:
        """Freeze all parameters except the query and value matrices."""
        freeze(backbone)
        for parts in [*backbone.attention("vision"), *backbone.attention("text")]:
            parts.query.weight.requires_grad_()
            parts.value.weight.requires_grad_()
        return _without_idle(backbone)


class Full(TunerConfig):
    """Tuning of all weights of the transformer blocks (CAT-Seg, CLIP_FINETUNE "full").

    `stem` also tunes the patch embedding. As in attention tuning, weights that dense features do not use (query and key
    of the last vision block) stay frozen.
    """

    name: Literal["full"] = "full"
    stem: bool = False

    def apply(self, backbone: Backbone) -> Backbone:
        """Freeze all parameters except the transformer blocks and, with `stem`, the patch embedding."""
        freeze(backbone)
        backbone.blocks("vision").requires_grad_()
        backbone.blocks("text").requires_grad_()
        backbone.stem.requires_grad_(self.stem)
        return _without_idle(backbone)


def _without_idle(backbone: Backbone) -> Backbone:
    """The backbone with parameters that dense features do not use frozen: they would never receive a gradient."""
    for value in backbone.unused_in_dense():
        value.requires_grad = False
    return backbone

"""Tuners that choose among the backbone's own weights."""

from __future__ import annotations

from typing import Literal

from ahs_seg.backbones.base import Backbone
from ahs_seg.tuners.base import TunerConfig, freeze


class Frozen(TunerConfig):
    """Nothing of the CLIP trains."""

    name: Literal["frozen"] = "frozen"

    def apply(self, backbone: Backbone) -> Backbone:
        """Freeze every parameter."""
        return freeze(backbone)


class Attention(TunerConfig):
    """Query and value matrices of every block of both towers train (CAT-Seg, CLIP_FINETUNE "attention").

    The query of the last vision block has no part in dense features. The original lists it as trainable although it
    never receives a gradient (weight decay alone moves it); here it stays frozen.
    """

    name: Literal["attention"] = "attention"

    def apply(self, backbone: Backbone) -> Backbone:
        """Freeze all but the query and value matrices."""
        freeze(backbone)
        for parts in [*backbone.attention("vision"), *backbone.attention("text")]:
            parts.query.weight.requires_grad_()
            parts.value.weight.requires_grad_()
        return _without_idle(backbone)


class Full(TunerConfig):
    """All weights of the transformer blocks train (CAT-Seg, CLIP_FINETUNE "full"); `stem` adds the patch embedding.

    As with attention tuning, what has no part in dense features (query and key of the last vision block) stays frozen.
    """

    name: Literal["full"] = "full"
    stem: bool = False

    def apply(self, backbone: Backbone) -> Backbone:
        """Freeze all but the transformer blocks (and the patch embedding, if asked for)."""
        freeze(backbone)
        backbone.blocks("vision").requires_grad_()
        backbone.blocks("text").requires_grad_()
        backbone.stem.requires_grad_(self.stem)
        return _without_idle(backbone)


def _without_idle(backbone: Backbone) -> Backbone:
    """Freeze what has no part in dense features: it would never receive a gradient."""
    for value in backbone.idle_in_dense():
        value.requires_grad = False
    return backbone

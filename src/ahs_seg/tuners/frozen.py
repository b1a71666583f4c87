"""No tuning: the CLIP stays as it is."""

from __future__ import annotations

from typing import Literal

from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.config import Config


class Frozen(Config):
    """Nothing of the CLIP trains."""

    name: Literal["frozen"] = "frozen"

    def apply(self, backbone: ClipBackbone) -> ClipBackbone:
        """Freeze every parameter."""
        return freeze(backbone)

    def merge(self, backbone: ClipBackbone) -> ClipBackbone:
        """The backbone itself."""
        return backbone


def freeze(backbone: ClipBackbone) -> ClipBackbone:
    """The backbone with no trainable parameter."""
    backbone.requires_grad_(requires_grad=False)
    return backbone

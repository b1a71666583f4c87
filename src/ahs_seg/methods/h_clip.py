"""H-CLIP: CAT-Seg tuned by rotations shared across layers (Peng et al., CVPR 2025)."""

from __future__ import annotations

from typing import Literal

from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.backbones.config import ClipConfig
from ahs_seg.config import Config
from ahs_seg.methods.cost import CostConfig, CostSegmenter
from ahs_seg.tuners import Orthogonal, Tuner


class HClipConfig(Config):
    """CAT-Seg's head on a CLIP tuned by block rotations with cross-layer relations."""

    name: Literal["h_clip"] = "h_clip"
    backbone: ClipConfig = ClipConfig(resolution=384)
    tuner: Tuner = Orthogonal()
    cost: CostConfig = CostConfig()

    def build(self) -> CostSegmenter:
        """The method on the backbone that the config names."""
        return self.compose(self.backbone.build())

    def compose(self, backbone: ClipBackbone) -> CostSegmenter:
        """The method on a backbone that exists."""
        return self.cost.build(self.tuner.apply(backbone))

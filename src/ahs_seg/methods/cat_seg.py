"""CAT-Seg: cost aggregation (Cho et al., CVPR 2024)."""

from __future__ import annotations

from typing import Literal

from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.backbones.config import ClipConfig
from ahs_seg.config import Config
from ahs_seg.methods.cost import CostConfig, CostSegmenter
from ahs_seg.tuners import Attention, Tuner


class CatSegConfig(Config):
    """CLIP tuned in its query and value matrices, its cost volume aggregated over space and classes."""

    name: Literal["cat_seg"] = "cat_seg"
    backbone: ClipConfig = ClipConfig(resolution=384)
    tuner: Tuner = Attention()
    cost: CostConfig = CostConfig()

    def build(self) -> CostSegmenter:
        """The method on the backbone that the config names."""
        return self.compose(self.backbone.build())

    def compose(self, backbone: ClipBackbone) -> CostSegmenter:
        """The method on a backbone that exists."""
        return self.cost.build(self.tuner.apply(backbone))

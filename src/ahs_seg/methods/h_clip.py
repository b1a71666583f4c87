"""H-CLIP: CAT-Seg tuned by rotations shared across layers (Peng et al., CVPR 2025)."""

from __future__ import annotations

from typing import Literal

from ahs_seg.methods.cost_method import CostMethodConfig
from ahs_seg.tuners import Orthogonal, Tuner


class HClipConfig(CostMethodConfig):
    """CAT-Seg's head on a CLIP tuned by block rotations with cross-layer relations."""

    name: Literal["h_clip"] = "h_clip"
    tuner: Tuner = Orthogonal()

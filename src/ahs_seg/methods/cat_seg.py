"""CAT-Seg: cost aggregation (Cho et al., CVPR 2024)."""

from __future__ import annotations

from typing import Literal

from ahs_seg.methods.cost_method import CostMethodConfig
from ahs_seg.tuners import Attention, Tuner


class CatSegConfig(CostMethodConfig):
    """CLIP tuned in its query and value matrices, its cost volume aggregated over space and classes."""

    name: Literal["cat_seg"] = "cat_seg"
    tuner: Tuner = Attention()

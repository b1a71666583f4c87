"""AHS-Seg: H-CLIP with modulated rotations, fused levels and a dynamic projection."""

from __future__ import annotations

from typing import Literal

from ahs_seg.heads.fusion import FusionConfig
from ahs_seg.heads.projection import ProjectionConfig
from ahs_seg.methods.cost import CostConfig
from ahs_seg.methods.cost_method import CostMethodConfig
from ahs_seg.tuners import Orthogonal, Tuner
from ahs_seg.tuners.modulation import Modulation


class AhsSegCost(CostConfig):
    """The cost aggregation with fusion and projection on; `null` leaves a part out."""

    fusion: FusionConfig | None = FusionConfig()
    projection: ProjectionConfig | None = ProjectionConfig()


class AhsSegConfig(CostMethodConfig):
    """HA-HEM (`tuner.modulation`), MH-FPN (`cost.fusion`) and DC-HSP (`cost.projection`) on top of H-CLIP.

    Without all three it is H-CLIP.
    """

    name: Literal["ahs_seg"] = "ahs_seg"
    tuner: Tuner = Orthogonal(modulation=Modulation())
    cost: AhsSegCost = AhsSegCost()

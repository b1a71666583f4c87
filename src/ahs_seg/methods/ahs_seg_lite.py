"""AHS-Seg's simple design: H-CLIP with prototypes that guide the words, self-distillation and rectification."""

from __future__ import annotations

from typing import Literal

from ahs_seg.heads.prototypes import Prototypes
from ahs_seg.heads.rectification import CertaintyRectification, Rectification
from ahs_seg.methods.cost import CostConfig
from ahs_seg.methods.cost_method import CostMethodConfig
from ahs_seg.tuners import Orthogonal, Tuner
from ahs_seg.tuners.teacher import Distillation


class AhsSegLiteCost(CostConfig):
    """The cost aggregation with prototypes, self-distillation and rectification on; `null` leaves a part out."""

    rectification: Rectification | None = CertaintyRectification()
    prototypes: Prototypes | None = Prototypes()
    distillation: Distillation | None = Distillation()


class AhsSegLiteConfig(CostMethodConfig):
    """HPA (`cost.prototypes`), SDR (`cost.distillation`) and AFR (`cost.rectification`) on top of H-CLIP.

    GCS (`cost.geodesic`) is off unless it is asked for (`{}`). Without all of them it is H-CLIP.
    """

    name: Literal["ahs_seg_lite"] = "ahs_seg_lite"
    tuner: Tuner = Orthogonal()
    cost: AhsSegLiteCost = AhsSegLiteCost()

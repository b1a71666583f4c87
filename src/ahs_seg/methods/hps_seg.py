"""HPS-Seg: H-CLIP with hyperspherical prototype alignment and adaptive feature rectification."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeFloat

from ahs_seg.heads.alignment import Alignment
from ahs_seg.heads.prototypes import Prototypes
from ahs_seg.heads.rectification import MixingRectification, Rectification
from ahs_seg.methods.cost import CostConfig
from ahs_seg.methods.cost_method import CostMethodConfig
from ahs_seg.tuners import Orthogonal, Tuner


class HpsPrototypes(Prototypes):
    """Prototypes with the losses on the sphere; `weight` is the 0.1 of both parts times the 0.1 of this one."""

    start: Literal["text", "nothing"] = "nothing"
    guidance: NonNegativeFloat = 0.0
    loss: Literal["cosine", "geodesic"] = "geodesic"
    weight: NonNegativeFloat = 0.01


class HpsSegCost(CostConfig):
    """The cost aggregation with rectification, alignment and prototypes on; `null` leaves a part out."""

    rectification: Rectification | None = MixingRectification()
    alignment: Alignment | None = Alignment()
    prototypes: HpsPrototypes | None = HpsPrototypes()


class HpsSegConfig(CostMethodConfig):
    """HPA (`cost.alignment` with `cost.prototypes`) and AFR (`cost.rectification`) on top of H-CLIP.

    Without them it is H-CLIP.
    """

    name: Literal["hps_seg"] = "hps_seg"
    tuner: Tuner = Orthogonal()
    cost: HpsSegCost = HpsSegCost()

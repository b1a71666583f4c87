"""CAT-Seg: cost aggregation (Cho et al., CVPR 2024)."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeFloat

from ahs_seg.methods.cost.config import CostMethodConfig
from ahs_seg.methods.cost.parts.alignment import Alignment
from ahs_seg.methods.cost.parts.distillation import Distillation
from ahs_seg.methods.cost.parts.fusion import FusionConfig
from ahs_seg.methods.cost.parts.projection import ProjectionConfig
from ahs_seg.methods.cost.parts.prototypes import Prototypes
from ahs_seg.methods.cost.parts.rectification import CertaintyRectification, MixingRectification, Rectification
from ahs_seg.methods.cost.segmenter import CostConfig
from ahs_seg.tuners import Attention, Orthogonal, Tuner
from ahs_seg.tuners.orthogonal import Modulation


class CatSegConfig(CostMethodConfig):
    """CLIP tuned in its query and value matrices, its cost volume aggregated over space and classes."""

    name: Literal["cat_seg"] = "cat_seg"
    tuner: Tuner = Attention()


class HClipConfig(CostMethodConfig):
    """CAT-Seg's head on a CLIP tuned by block rotations with cross-layer relations."""

    name: Literal["h_clip"] = "h_clip"
    tuner: Tuner = Orthogonal()


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

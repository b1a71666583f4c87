"""The five methods of the cost family: CAT-Seg, H-CLIP, AHS-Seg, its simple design, and HPS-Seg."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

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
    """CAT-Seg (Cho et al., CVPR 2024): aggregation of CLIP's cost volume, with tuned query and value matrices."""

    name: Literal["cat_seg"] = "cat_seg"
    tuner: Tuner = Attention()


class HClipConfig(CostMethodConfig):
    """H-CLIP (Peng et al., CVPR 2025): CAT-Seg's head on a CLIP with orthogonal fine-tuning across layers."""

    name: Literal["h_clip"] = "h_clip"
    tuner: Tuner = Orthogonal()


class AhsSegCost(CostConfig):
    """Cost aggregation with fusion and projection by default; `null` switches a part off."""

    fusion: FusionConfig | None = FusionConfig()
    projection: ProjectionConfig | None = ProjectionConfig()


class AhsSegConfig(CostMethodConfig):
    """AHS-Seg: H-CLIP with HA-HEM, MH-FPN and DC-HSP.

    The parts are HA-HEM (`tuner.modulation`), MH-FPN (`cost.fusion`) and DC-HSP (`cost.projection`); with all of them
    switched off the method is H-CLIP.
    """

    name: Literal["ahs_seg"] = "ahs_seg"
    tuner: Tuner = Orthogonal(modulation=Modulation())
    cost: AhsSegCost = AhsSegCost()


class AhsSegLiteCost(CostConfig):
    """Cost aggregation with prototypes, self-distillation and rectification by default; `null` switches a part off."""

    rectification: Rectification | None = CertaintyRectification()
    prototypes: Prototypes | None = Prototypes()
    distillation: Distillation | None = Distillation()


class AhsSegLiteConfig(CostMethodConfig):
    """AHS-Seg, simple design: H-CLIP with HPA, SDR and AFR.

    The parts are HPA (`cost.prototypes`), SDR (`cost.distillation`) and AFR (`cost.rectification`). GCS
    (`cost.geodesic`) is off by default; `{}` switches it on. With all of them switched off the method is H-CLIP.
    """

    name: Literal["ahs_seg_lite"] = "ahs_seg_lite"
    tuner: Tuner = Orthogonal()
    cost: AhsSegLiteCost = AhsSegLiteCost()


class HpsPrototypes(Prototypes):
    """Prototypes with geodesic losses; `weight` is the product of the overall weight 0.1 and this part's weight 0.1."""

    TUNED: ClassVar[Mapping[str, Any]] = {"weight": 0.001}

    start: Literal["text", "nothing"] = "nothing"
    guidance: NonNegativeFloat = 0.0
    loss: Literal["cosine", "geodesic"] = "geodesic"
    weight: NonNegativeFloat = 0.01


class HpsSegCost(CostConfig):
    """Cost aggregation with rectification, alignment and prototypes by default; `null` switches a part off."""

    rectification: Rectification | None = MixingRectification()
    alignment: Alignment | None = Alignment()
    prototypes: HpsPrototypes | None = HpsPrototypes()


class HpsSegConfig(CostMethodConfig):
    """HPS-Seg: H-CLIP with HPA and AFR.

    The parts are HPA (`cost.alignment` with `cost.prototypes`) and AFR (`cost.rectification`); with all of them
    switched off the method is H-CLIP.
    """

    name: Literal["hps_seg"] = "hps_seg"
    tuner: Tuner = Orthogonal()
    cost: HpsSegCost = HpsSegCost()

"""Small configs with the options of parts and methods that are off by default."""

from ahs_seg.config import Config
from ahs_seg.methods import (
    AhsSegConfig,
    AhsSegLiteConfig,
    BaseMethodConfig,
    CatSegConfig,
    EBSegConfig,
    ScanConfig,
)
from ahs_seg.methods.cost.parts.distillation import Distillation
from ahs_seg.methods.cost.parts.prototypes import Prototypes
from ahs_seg.methods.cost.parts.rectification import CertaintyRectification
from ahs_seg.tuners import Orthogonal
from ahs_seg.tuners.orthogonal import Modulation
from tests.support.every_method import SMALL_CONFIGS, SOURCE
from tests.support.hyperspherical import lite
from tests.support.small_methods import AHS_SEG_SMALL

_PROJECTION = AHS_SEG_SMALL.projection
assert _PROJECTION is not None

OPTIONAL: dict[type[Config], BaseMethodConfig] = {
    AhsSegConfig: AhsSegConfig(
        backbone=SOURCE.replace(dense="residual"),
        cost=AHS_SEG_SMALL.replace(projection=_PROJECTION.replace(guidance="projected", per_class=True)),
        tuner=Orthogonal(block=8, modulation=Modulation(beta="constant")),
    ),
    AhsSegLiteConfig: lite("prototypes").replace(
        backbone=SOURCE.replace(dense="value"),
        cost=lite("prototypes").cost.replace(
            prototypes=Prototypes(count=5, adaptive=True),
            distillation=Distillation(warmup=0.5),
            rectification=CertaintyRectification(reduction=4, second_view="image"),
        ),
    ),
    CatSegConfig: SMALL_CONFIGS[CatSegConfig].replace(backbone=SOURCE.replace(dense="naclip")),
    EBSegConfig: SMALL_CONFIGS[EBSegConfig].replace(mask_padding=True, backbone=SOURCE.replace(dense="residual")),
    ScanConfig: SMALL_CONFIGS[ScanConfig].replace(mask_padding=True, backbone=SOURCE.replace(dense="value")),
}
"""By the class of the config, as in `every_method`."""

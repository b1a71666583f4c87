"""A small config of every method of the union, for a random backbone of `builders`."""

from ahs_seg.backbones.clip_config import ClipConfig
from ahs_seg.config import Config
from ahs_seg.methods import (
    AhsSegConfig,
    AhsSegLiteConfig,
    CatSegConfig,
    EBSegConfig,
    HClipConfig,
    HpsSegConfig,
    MethodConfig,
    ScanConfig,
    ZeroShotConfig,
)
from ahs_seg.methods.cost.config import CostMethodConfig
from ahs_seg.tuners import Orthogonal
from tests.support.hyperspherical import FULL
from tests.support.small_methods import AHS_SEG_SMALL, EBSEG_SMALL, MODULATED, SCAN_SMALL, SMALL

SOURCE = ClipConfig(source="nowhere", resolution=64)
SMALL_CONFIGS: dict[type[Config], MethodConfig | CostMethodConfig] = {
    CatSegConfig: CatSegConfig(backbone=SOURCE, cost=SMALL),
    HClipConfig: HClipConfig(backbone=SOURCE, cost=SMALL, tuner=Orthogonal(block=8)),
    AhsSegConfig: AhsSegConfig(backbone=SOURCE, cost=AHS_SEG_SMALL, tuner=MODULATED),
    AhsSegLiteConfig: FULL["lite"].replace(backbone=SOURCE),
    HpsSegConfig: FULL["hps"].replace(backbone=SOURCE),
    ScanConfig: SCAN_SMALL.replace(backbone=SOURCE),
    EBSegConfig: EBSEG_SMALL.replace(backbone=SOURCE),
    ZeroShotConfig: ZeroShotConfig(backbone=SOURCE),
}
"""By the class of the config; `METHODS` lists the classes."""

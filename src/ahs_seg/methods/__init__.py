"""Segmentation methods: compositions of a backbone, a tuner and a head.

The list of methods is `METHODS`; yaml files are validated against it and against the config classes that the caller
passes. `Method` is the interface of a built method, `BaseMethodConfig` that of its config.
"""

from typing import Annotated, Final

from ahs_seg.config import OneOf
from ahs_seg.methods.base import BaseMethodConfig, Method
from ahs_seg.methods.cost.segmenter import CostConfig, CostSegmenter
from ahs_seg.methods.cost.variants import AhsSegConfig, AhsSegLiteConfig, CatSegConfig, HClipConfig, HpsSegConfig
from ahs_seg.methods.mask.ebseg.config import EBSegConfig
from ahs_seg.methods.mask.ebseg.segmenter import EBSegSegmenter
from ahs_seg.methods.mask.scan.config import ScanConfig
from ahs_seg.methods.mask.scan.segmenter import ScanSegmenter
from ahs_seg.methods.zero_shot import ZeroShotConfig, ZeroShotSegmenter

METHODS: Final = (
    CatSegConfig,
    HClipConfig,
    AhsSegConfig,
    AhsSegLiteConfig,
    HpsSegConfig,
    EBSegConfig,
    ScanConfig,
    ZeroShotConfig,
)
"""The method configs of this package; every list of methods in the library is derived from it."""
MethodConfig = Annotated[BaseMethodConfig, OneOf(BaseMethodConfig, METHODS)]

__all__ = [
    "METHODS",
    "AhsSegConfig",
    "AhsSegLiteConfig",
    "BaseMethodConfig",
    "CatSegConfig",
    "CostConfig",
    "CostSegmenter",
    "EBSegConfig",
    "EBSegSegmenter",
    "HClipConfig",
    "HpsSegConfig",
    "Method",
    "MethodConfig",
    "ScanConfig",
    "ScanSegmenter",
    "ZeroShotConfig",
    "ZeroShotSegmenter",
]

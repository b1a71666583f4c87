"""Methods: compositions of a backbone, a tuner and a head.

The list of methods is `METHODS`; yaml is checked against it, and against the classes of its own that a caller passes.
What a built method can do is said by the class `Method`, what its config can do by `BaseMethodConfig`.
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
"""The methods of this package; everything that lists methods reads this."""
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

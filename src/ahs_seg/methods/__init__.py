"""Methods: compositions of a backbone, a tuner and a head.

The list of methods is the union `MethodConfig`; yaml is checked against it. What a built method can do is said by the
class `Method`, what its config can do by `BaseMethodConfig`.
"""

from typing import Annotated

from pydantic import Field

from ahs_seg.methods.base import Method
from ahs_seg.methods.cost.segmenter import CostConfig, CostSegmenter
from ahs_seg.methods.cost.variants import AhsSegConfig, AhsSegLiteConfig, CatSegConfig, HClipConfig, HpsSegConfig
from ahs_seg.methods.mask.ebseg.config import EBSegConfig
from ahs_seg.methods.mask.ebseg.segmenter import EBSegSegmenter
from ahs_seg.methods.mask.scan.config import ScanConfig
from ahs_seg.methods.mask.scan.segmenter import ScanSegmenter
from ahs_seg.methods.zero_shot import ZeroShotConfig, ZeroShotSegmenter

MethodConfig = Annotated[
    CatSegConfig
    | HClipConfig
    | AhsSegConfig
    | AhsSegLiteConfig
    | HpsSegConfig
    | EBSegConfig
    | ScanConfig
    | ZeroShotConfig,
    Field(discriminator="name"),
]

__all__ = [
    "AhsSegConfig",
    "AhsSegLiteConfig",
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

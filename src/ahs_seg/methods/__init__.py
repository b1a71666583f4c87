"""Methods: compositions of a backbone, a tuner and a head.

The list of methods is the union `Method`; yaml is checked against it. A built method is an `nn.Module` with `backbone`,
`forward(images, text) -> Output` (which is `decode(encode(images), text)`), `prepare(text)`, `scores(logits)` and
`merged()`. Its config gives the objective of its training.
"""

from typing import Annotated

from pydantic import Field

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
Segmenting = CostSegmenter | EBSegSegmenter | ScanSegmenter | ZeroShotSegmenter

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
    "MethodConfig",
    "ScanConfig",
    "ScanSegmenter",
    "Segmenting",
    "ZeroShotConfig",
    "ZeroShotSegmenter",
]

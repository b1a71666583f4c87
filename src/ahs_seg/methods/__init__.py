"""Methods: compositions of a backbone, a tuner and a head.

The list of methods is the union `Method`; yaml is checked against it. A built method is an `nn.Module` with `backbone`,
`forward(images, text) -> Output` (which is `decode(encode(images), text)`), `prepare(text)`, `scores(logits)` and
`merged()`. Its config gives the objective of its training.
"""

from typing import Annotated

from pydantic import Field

from ahs_seg.methods.ahs_seg import AhsSegConfig
from ahs_seg.methods.ahs_seg_lite import AhsSegLiteConfig
from ahs_seg.methods.cat_seg import CatSegConfig
from ahs_seg.methods.cost import CostConfig, CostSegmenter
from ahs_seg.methods.ebseg import EBSegConfig
from ahs_seg.methods.ebseg_segmenter import EBSegSegmenter
from ahs_seg.methods.h_clip import HClipConfig
from ahs_seg.methods.hps_seg import HpsSegConfig
from ahs_seg.methods.scan import ScanConfig
from ahs_seg.methods.scan_segmenter import ScanSegmenter
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

"""EBSeg: mask proposals named by balanced embeddings (Shan et al., CVPR 2024)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt
from torch import nn

from ahs_seg.backbones.base import Backbone
from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.backbones.clip_config import ClipConfig
from ahs_seg.backbones.pixel import PixelBackbone, PixelConfig
from ahs_seg.backbones.sam import SamConfig
from ahs_seg.methods.mask.config import MaskMethodConfig
from ahs_seg.methods.mask.ebseg.objective import EBSegLossConfig, EBSegObjective
from ahs_seg.methods.mask.ebseg.region_recognition import RegionRecognition
from ahs_seg.methods.mask.ebseg.segmenter import EBSegSegmenter


class EBSegConfig(MaskMethodConfig):
    """Mask proposals from SAM's encoder and a frozen CLIP, named by balanced embeddings.

    The defaults are EBSeg-B's. `recognition_blocks` of CLIP's blocks recognise regions; `taps` (blocks counted from 1)
    are added to the pixel backbone's maps, by default a third, two thirds and all of the blocks before those.
    `value_start` is the block after which the value path begins, by default a sixth of all. `alpha`, `beta` and `gamma`
    are those of `balanced_scores`; with all of them zero only supervised embeddings count.
    """

    name: Literal["ebseg"] = "ebseg"
    backbone: ClipConfig = ClipConfig(resolution=320)
    pixels: PixelConfig = SamConfig()
    clip_scale: PositiveFloat = 0.5
    recognition_blocks: PositiveInt = 3
    taps: tuple[PositiveInt, PositiveInt, PositiveInt] | None = None
    value_start: PositiveInt | None = None
    alpha: float = Field(default=0.09, ge=0, le=1)
    beta: float = Field(default=0.3, ge=0, le=1)
    gamma: float = Field(default=0.7, ge=0, le=1)
    loss: EBSegLossConfig = EBSegLossConfig()

    def build(self) -> EBSegSegmenter:
        """The method with the pre-trained weights of CLIP and of the pixel backbone."""
        return self.assemble(self.backbone.build(), self.pixels.build())

    def compose(self, backbone: Backbone) -> EBSegSegmenter:
        """The method on a CLIP that exists; the weights of the pixel backbone are random."""
        return self.assemble(self.clip(backbone), self.pixels.build_empty())

    def assemble(self, backbone: ClipBackbone, pixels: PixelBackbone) -> EBSegSegmenter:
        """The method on networks that exist."""
        front = backbone.depth - self.recognition_blocks
        recognition = RegionRecognition(
            backbone,
            head=self.recognition_blocks,
            taps=self.taps or (max(1, front // 3), max(1, 2 * front // 3), front),
            value_start=self.value_start or max(1, backbone.depth // 6),
        )
        return EBSegSegmenter(
            backbone,
            pixels,
            self.decoders(pixels.channels),
            recognition,
            clip_scale=self.clip_scale,
            balance=(self.alpha, self.beta, self.gamma),
        )

    def term(self) -> nn.Module:
        """The losses of the method."""
        return EBSegObjective(self.loss)

"""Config of EBSeg (Shan et al., CVPR 2024)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt
from torch import nn

from ahs_seg.backbones.base import Backbone
from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.backbones.clip_config import ClipConfig
from ahs_seg.backbones.pixel import PixelBackbone, PixelConfig
from ahs_seg.backbones.sam import SamConfig
from ahs_seg.config import Layers
from ahs_seg.methods.mask.config import MaskMethodConfig
from ahs_seg.methods.mask.ebseg.objective import EBSegLossConfig, EBSegObjective
from ahs_seg.methods.mask.ebseg.region_recognition import RegionRecognition
from ahs_seg.methods.mask.ebseg.segmenter import EBSegSegmenter
from ahs_seg.vocabulary.seen_classes import SoftOverlap


class EBSegConfig(MaskMethodConfig):
    """EBSeg (Shan et al., CVPR 2024): mask proposals from SAM's encoder and CLIP, classified by balanced embeddings.

    The defaults are EBSeg-B's. The last `recognition_blocks` blocks of CLIP compute region embeddings. The maps of the
    blocks in `taps` (counted from 1) are added to the maps of the pixel backbone; by default they are at one third, two
    thirds and the full depth of the blocks before the recognition blocks. `value_start` is the block after which the
    value path begins, by default at one sixth of the depth; with `backbone.dense` the patch features of that dense form
    take the place of the value path. CLIP's input has `clip_scale` times the size of the image.
    `alpha`, `beta` and `gamma` are those of `balanced_scores`; if all are 0, only the supervised embeddings are used.
    With `soft_overlap` the text embedding of a class says how far it counts as seen, otherwise its name says whether.
    """

    name: Literal["ebseg"] = "ebseg"
    backbone: ClipConfig = ClipConfig(resolution=320)
    pixels: PixelConfig = SamConfig()
    clip_scale: PositiveFloat = 0.5
    recognition_blocks: Layers = 3
    taps: tuple[PositiveInt, PositiveInt, PositiveInt] | None = None
    value_start: PositiveInt | None = None
    alpha: float = Field(default=0.09, ge=0, le=1)
    beta: float = Field(default=0.3, ge=0, le=1)
    gamma: float = Field(default=0.7, ge=0, le=1)
    soft_overlap: SoftOverlap | None = None
    loss: EBSegLossConfig = EBSegLossConfig()

    def build(self) -> EBSegSegmenter:
        """The method with the pre-trained weights of CLIP and of the pixel backbone."""
        return self.assemble(self.clip(self.backbone.build()), self.pixels.build())

    def compose(self, backbone: Backbone) -> EBSegSegmenter:
        """The method on the given CLIP; the pixel backbone has random weights."""
        return self.assemble(self.clip(backbone), self.pixels.build_empty())

    def assemble(self, backbone: ClipBackbone, pixels: PixelBackbone) -> EBSegSegmenter:
        """The method on the given networks."""
        front = backbone.depth - self.recognition_blocks
        recognition = RegionRecognition(
            backbone,
            head=self.recognition_blocks,
            taps=self.taps or (max(1, front // 3), max(1, 2 * front // 3), front),
            value_start=self.value_start or max(1, backbone.depth // 6),
            dense=self.backbone.dense,
        )
        return EBSegSegmenter(
            backbone,
            pixels,
            self.decoders(pixels.channels),
            recognition,
            clip_scale=self.clip_scale,
            balance=(self.alpha, self.beta, self.gamma),
            soft_overlap=self.soft_overlap,
            mask_padding=self.mask_padding,
        )

    def term(self) -> nn.Module:
        """The loss term of the method."""
        return EBSegObjective(self.loss)

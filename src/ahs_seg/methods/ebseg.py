"""EBSeg: mask proposals named by balanced embeddings (Shan et al., CVPR 2024)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt
from torch import nn

from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.backbones.config import ClipConfig
from ahs_seg.backbones.pixels import PixelBackbone, PixelConfig
from ahs_seg.backbones.recognition import RegionRecognition
from ahs_seg.backbones.sam import SamConfig
from ahs_seg.config import Config
from ahs_seg.heads.masked_decoder import MaskedDecoder
from ahs_seg.heads.pixel_decoder import PixelDecoder
from ahs_seg.methods.ebseg_objective import EBSegLossConfig, EBSegObjective
from ahs_seg.methods.ebseg_segmenter import EBSegSegmenter
from ahs_seg.methods.objective import SumObjective, TrainingClasses


class EBSegConfig(Config):
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
    queries: PositiveInt = 100
    dim: PositiveInt = 256
    heads: PositiveInt = 8
    encoder_layers: PositiveInt = 6
    encoder_feedforward: PositiveInt = 1024
    decoder_layers: PositiveInt = 9
    decoder_feedforward: PositiveInt = 2048
    loss: EBSegLossConfig = EBSegLossConfig()

    def build(self) -> EBSegSegmenter:
        """The method with the pre-trained weights of CLIP and of the pixel backbone."""
        return self.assemble(self.backbone.build(), self.pixels.build())

    def compose(self, backbone: ClipBackbone) -> EBSegSegmenter:
        """The method on a CLIP that exists; the weights of the pixel backbone are random."""
        return self.assemble(backbone, self.pixels.build_empty())

    def assemble(self, backbone: ClipBackbone, pixels: PixelBackbone) -> EBSegSegmenter:
        """The method on networks that exist."""
        front = backbone.depth - self.recognition_blocks
        recognition = RegionRecognition(
            backbone,
            head=self.recognition_blocks,
            taps=self.taps or (max(1, front // 3), max(1, 2 * front // 3), front),
            value_start=self.value_start or max(1, backbone.depth // 6),
        )
        decoders = (
            PixelDecoder(
                pixels.channels,
                dim=self.dim,
                mask_dim=self.dim,
                heads=self.heads,
                layers=self.encoder_layers,
                feedforward=self.encoder_feedforward,
            ),
            MaskedDecoder(
                self.dim,
                mask_dim=self.dim,
                queries=self.queries,
                heads=self.heads,
                layers=self.decoder_layers,
                feedforward=self.decoder_feedforward,
            ),
        )
        return EBSegSegmenter(
            backbone,
            pixels,
            decoders,
            recognition,
            clip_scale=self.clip_scale,
            balance=(self.alpha, self.beta, self.gamma),
        )

    def objective(
        self,
        method: nn.Module,  # noqa: ARG002  # the same call as for methods whose parts start from training classes
        classes: TrainingClasses,  # noqa: ARG002
        *,
        ignore_as_negative: bool = True,  # noqa: ARG002  # masks leave unlabelled pixels empty
    ) -> SumObjective:
        """What training minimises."""
        return SumObjective([EBSegObjective(self.loss)])

    def for_classes(self, count: int) -> EBSegConfig:  # noqa: ARG002  # nothing depends on it
        """The config itself."""
        return self

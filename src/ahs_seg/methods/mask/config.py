"""Base class of the configs of the mask family."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from torch import nn

from ahs_seg.backbones.base import Backbone
from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.backbones.pixel import PixelConfig
from ahs_seg.config import ConfigError, Layers, Width
from ahs_seg.methods.base import BaseMethodConfig
from ahs_seg.methods.mask.predictions import Decoders
from ahs_seg.methods.objective import SumObjective, TrainingClasses


class MaskMethodConfig(BaseMethodConfig):
    """Config of a pixel backbone and its pixel and query decoders (Mask2Former); defaults as in the papers.

    Images are padded to multiples of the stride of the pixel backbone. With `mask_padding` neither decoder attends to
    the padding, and matching and losses draw their points inside the image; as published, padding is like the image.
    """

    pixels: PixelConfig
    queries: Width = 100
    dim: Width = 256
    heads: Width = 8
    encoder_layers: Layers = 6
    encoder_feedforward: Width = 1024
    decoder_layers: Layers = 9
    decoder_feedforward: Width = 2048
    mask_padding: bool = False

    def decoders(self, channels: Sequence[int]) -> Decoders:
        """The `PixelDecoder` and `MaskedDecoder` for a pixel backbone with maps of these `channels`, finest map first.

        They are imported here, because they derive from classes of `transformers` that take seconds to import.
        """
        from ahs_seg.methods.mask.pixel_decoder import PixelDecoder
        from ahs_seg.methods.mask.query_decoder import MaskedDecoder

        return (
            PixelDecoder(
                channels,
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

    @abstractmethod
    def term(self) -> nn.Module:
        """The loss term of the method."""

    def objective(
        self, method: nn.Module, classes: TrainingClasses, *, ignore_as_negative: bool = True
    ) -> SumObjective:
        """The training objective of the mask proposals.

        Pixels without a label belong to no mask, so `ignore_as_negative` has no effect.
        """
        del method, classes, ignore_as_negative
        return SumObjective([self.term()])

    def clip(self, backbone: Backbone, key: str = "method.backbone") -> ClipBackbone:
        """The backbone itself, after a check that it has the image tower of a CLIP, which the method runs by blocks.

        `key` is the config of the backbone.

        Raises:
            ConfigError: the backbone is of another kind.
        """
        if not isinstance(backbone, ClipBackbone):
            raise ConfigError(
                f"{key} is of the kind {backbone.kind}; {self.name} runs the image tower of a CLIP block by block. "
                f"Give a CLIP, MetaCLIP 2, Chinese-CLIP or AltCLIP as {key}.source."
            )
        return self.backbone.in_form(backbone)

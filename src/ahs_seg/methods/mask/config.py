"""What the configs of the mask family have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from pydantic import PositiveInt
from torch import nn

from ahs_seg.backbones.pixel import PixelConfig
from ahs_seg.config import Config
from ahs_seg.methods.mask.pixel_decoder import PixelDecoder
from ahs_seg.methods.mask.query_decoder import MaskedDecoder
from ahs_seg.methods.objective import SumObjective, TrainingClasses


class MaskMethodConfig(Config):
    """A pixel backbone and the sizes of its two decoders (Mask2Former); the defaults are those of the papers."""

    pixels: PixelConfig
    queries: PositiveInt = 100
    dim: PositiveInt = 256
    heads: PositiveInt = 8
    encoder_layers: PositiveInt = 6
    encoder_feedforward: PositiveInt = 1024
    decoder_layers: PositiveInt = 9
    decoder_feedforward: PositiveInt = 2048

    def decoders(self, channels: Sequence[int]) -> tuple[PixelDecoder, MaskedDecoder]:
        """The decoders for a pixel backbone with maps of so many channels, the finest first."""
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
        """The losses of the method."""

    def objective(
        self,
        method: nn.Module,  # noqa: ARG002  # the same call as for methods whose parts start from training classes
        classes: TrainingClasses,  # noqa: ARG002
        *,
        ignore_as_negative: bool = True,  # noqa: ARG002  # masks leave unlabelled pixels empty
    ) -> SumObjective:
        """What training minimises."""
        return SumObjective([self.term()])

    def for_classes(self, count: int) -> MaskMethodConfig:  # noqa: ARG002  # nothing depends on it
        """The config itself."""
        return self

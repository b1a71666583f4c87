"""The optional parts between CLIP and the cost aggregation, and the order in which they act."""

from __future__ import annotations

from operator import attrgetter
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

from ahs_seg.backbones.base import Backbone
from ahs_seg.config import Config
from ahs_seg.methods.cost.parts.alignment import Alignment
from ahs_seg.methods.cost.parts.distillation import Distillation
from ahs_seg.methods.cost.parts.fusion import FusionConfig, HypersphericalFusion
from ahs_seg.methods.cost.parts.geodesic_similarity import Geodesic
from ahs_seg.methods.cost.parts.projection import ProjectionConfig
from ahs_seg.methods.cost.parts.prototypes import Prototypes
from ahs_seg.methods.cost.parts.rectification import Rectification
from ahs_seg.methods.objective import BoundTerm, TrainingClasses
from ahs_seg.types import ImageFeatures

FUSED_SHARE = 0.5


@runtime_checkable
class TextGuide(Protocol):
    """Interface of a part that moves text embeddings towards the prototypes of training classes."""

    def guide(self, text: Float[Tensor, "t p d"]) -> Float[Tensor, "t p d"]:
        """The guided text embeddings."""


@runtime_checkable
class JointProjection(Protocol):
    """Interface of a part that projects patch features and text embeddings to its own space for the comparison."""

    def image(self, dense: Float[Tensor, "b d h w"]) -> Float[Tensor, "b d h w"]:
        """Patch features in that space."""

    def text(self, text: Float[Tensor, "t p d"]) -> Float[Tensor, "t p d"]:
        """Text embeddings in that space."""


class CostParts(nn.Module):
    """The optional parts of the cost family, in the order in which they act (None: the part is switched off).

    rectifier: dense map -> dense map, before all other parts. fusion: hidden levels -> map of the joint dimension that
    is averaged with the dense map for the appearance guidance. prototypes: `guide(text)` moves text embeddings towards
    the prototypes of training classes. aligner: dense map -> the map that is compared with text embeddings.
    projection: `image(map)` and `text(embeddings)` project both to a separate space for the comparison.
    """

    def __init__(
        self,
        *,
        rectifier: nn.Module | None = None,
        fusion: HypersphericalFusion | None = None,
        prototypes: TextGuide | None = None,
        aligner: nn.Module | None = None,
        projection: JointProjection | None = None,
    ) -> None:
        super().__init__()
        self.rectifier = rectifier
        self.fusion = fusion
        self.prototypes = prototypes
        self.aligner = aligner
        self.projection = projection

    @property
    def fused_levels(self) -> tuple[int, ...]:
        """The hidden levels that the fusion needs."""
        return () if self.fusion is None else self.fusion.levels

    def rectified(self, features: ImageFeatures) -> Float[Tensor, "b d h w"]:
        """The dense map after the rectifier, input of all other parts."""
        return features.dense if self.rectifier is None else self.rectifier(features.dense)

    def appearance(
        self, dense: Float[Tensor, "b d h w"], levels: tuple[Float[Tensor, "b c h w"], ...]
    ) -> Float[Tensor, "b d h w"]:
        """The dense map for the appearance guidance, averaged with the fused levels if there is a fusion."""
        if self.fusion is None:
            return dense
        return (1 - FUSED_SHARE) * dense + FUSED_SHARE * self.fusion(levels)

    def aligned(self, dense: Float[Tensor, "b d h w"]) -> Float[Tensor, "b d h w"]:
        """The dense map after the aligner, in the joint space; prototypes are computed from it."""
        return dense if self.aligner is None else self.aligner(dense)

    def compared(self, aligned: Float[Tensor, "b d h w"]) -> Float[Tensor, "b e h w"]:
        """The dense map after the projection, which is compared with the text embeddings."""
        return aligned if self.projection is None else self.projection.image(aligned)

    def guided(self, text: Float[Tensor, "t p d"]) -> Float[Tensor, "t p d"]:
        """The text embeddings after guidance by the prototypes."""
        return text if self.prototypes is None else self.prototypes.guide(text)

    def projected(self, text: Float[Tensor, "t p d"]) -> Float[Tensor, "t p d"]:
        """The text embeddings after the projection, in the space of the comparison."""
        return text if self.projection is None else self.projection.text(text)


class PartsConfig(Config):
    """Configs of the optional parts; None switches a part off, with exactly the results of a method without it."""

    fusion: FusionConfig | None = None
    projection: ProjectionConfig | None = None
    rectification: Rectification | None = None
    alignment: Alignment | None = None
    prototypes: Prototypes | None = None
    geodesic: Geodesic | None = None
    distillation: Distillation | None = None

    def build_parts(self, backbone: Backbone) -> CostParts:
        """The parts, with the sizes of the given backbone."""
        dim, width, depth = backbone.dim, backbone.width, backbone.depth
        return CostParts(
            rectifier=None if self.rectification is None else self.rectification.build(dim),
            prototypes=None if self.prototypes is None else self.prototypes.build(dim),
            aligner=None if self.alignment is None else self.alignment.build(dim),
            fusion=None if self.fusion is None else self.fusion.build(dim, width, depth),
            projection=None if self.projection is None else self.projection.build(dim),
        )

    def terms(self, method: nn.Module, classes: TrainingClasses) -> list[nn.Module]:
        """The loss terms of the enabled parts, each bound to its submodule of the method."""
        places = {
            "parts.fusion": self.fusion,
            "parts.projection": self.projection,
            "parts.prototypes": self.prototypes,
            "parts.rectifier": self.rectification,
            "backbone": self.distillation,
        }
        return [
            BoundTerm(place, config.term(attrgetter(place)(method), classes))
            for place, config in places.items()
            if config is not None
        ]

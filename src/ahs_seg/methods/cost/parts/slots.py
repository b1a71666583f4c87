"""The optional parts between CLIP and the cost aggregation, and the order in which they act."""

from __future__ import annotations

from operator import attrgetter
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor, nn

from ahs_seg.backbones.base import Backbone
from ahs_seg.config import Config
from ahs_seg.methods.cost.correlation import PerClassShift
from ahs_seg.methods.cost.parts.alignment import Alignment
from ahs_seg.methods.cost.parts.distillation import Distillation
from ahs_seg.methods.cost.parts.fusion import FusionConfig, HypersphericalFusion
from ahs_seg.methods.cost.parts.geodesic_similarity import Geodesic
from ahs_seg.methods.cost.parts.projection import DynamicProjection, ProjectionConfig
from ahs_seg.methods.cost.parts.prototypes import Prototypes
from ahs_seg.methods.cost.parts.rectification import Rectification, SecondViewTerm
from ahs_seg.methods.objective import BoundTerm, TrainingClasses
from ahs_seg.types import ClassText, ImageFeatures


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
    guides the appearance together with the dense map. prototypes: `guide(text)` moves text embeddings towards
    the prototypes of training classes. aligner: dense map -> the map that is compared with text embeddings.
    projection: `image(map)` and `text(embeddings)` project both to a separate space for the comparison; with
    `projected_guidance` the projected text embeddings guide the class attention as well.
    """

    def __init__(
        self,
        *,
        rectifier: nn.Module | None = None,
        fusion: HypersphericalFusion | None = None,
        prototypes: TextGuide | None = None,
        aligner: nn.Module | None = None,
        projection: JointProjection | None = None,
        projected_guidance: bool = False,
    ) -> None:
        super().__init__()
        self.rectifier = rectifier
        self.fusion = fusion
        self.prototypes = prototypes
        self.aligner = aligner
        self.projection = projection
        self.projected_guidance = projected_guidance

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
        """The dense map for the appearance guidance, together with the fused levels if there is a fusion."""
        return dense if self.fusion is None else self.fusion.joined(dense, levels)

    def aligned(self, dense: Float[Tensor, "b d h w"]) -> Float[Tensor, "b d h w"]:
        """The dense map after the aligner, in the joint space; prototypes are computed from it."""
        return dense if self.aligner is None else self.aligner(dense)

    def compared(self, aligned: Float[Tensor, "b d h w"]) -> Float[Tensor, "b e h w"]:
        """The dense map after the projection, which is compared with the text embeddings."""
        return aligned if self.projection is None else self.projection.image(aligned)

    def guided(self, text: Float[Tensor, "t p d"]) -> Float[Tensor, "t p d"]:
        """The text embeddings after guidance by the prototypes."""
        return text if self.prototypes is None else self.prototypes.guide(text)

    def projected(
        self, text: Float[Tensor, "t p d"], complexity: Float[Tensor, "t p"] | None = None
    ) -> Float[Tensor, "t p d"]:
        """The text embeddings after the projection, in the space of the comparison.

        `complexity` is the result of that method.
        """
        if self._per_class is not None:
            return self._per_class.text(text, complexity)
        return text if self.projection is None else self.projection.text(text)

    def guiding(self, guided: Float[Tensor, "t p d"], projected: Float[Tensor, "t p d"]) -> Float[Tensor, "t p d"]:
        """The text embeddings that guide the class attention, of those before and after the projection."""
        return projected if self.projected_guidance else guided

    def complexity(self, text: Float[Tensor, "t p d"]) -> Float[Tensor, "t p"] | None:
        """The complexity of each prompt, if the projection of the patch features depends on it."""
        projection = self._per_class
        return None if projection is None else projection.complexity(text)

    def change(
        self, aligned: Float[Tensor, "b d h w"], words: ClassText, kept: Int[Tensor, "b k"] | None = None
    ) -> PerClassShift | None:
        """What the projection adds to the compared map for each class (of the `kept` ones of each image).

        None if the projection of the patch features is the same for all classes.
        """
        projection = self._per_class
        if projection is None or words.complexity is None:
            return None
        shares = words.complexity[None] if kept is None else words.complexity[kept]
        return PerClassShift(projection.shift(aligned), shares)

    @property
    def changes_per_class(self) -> bool:
        """Whether the patch features that are compared differ from class to class (`change`)."""
        return self._per_class is not None

    @property
    def _per_class(self) -> DynamicProjection | None:
        found = self.projection
        return found if isinstance(found, DynamicProjection) and found.per_class else None


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
            projected_guidance=self.projection is not None and self.projection.guidance == "projected",
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
        found = {
            place: config.term(attrgetter(place)(method), classes)
            for place, config in places.items()
            if config is not None
        }
        return [term if isinstance(term, SecondViewTerm) else BoundTerm(place, term) for place, term in found.items()]

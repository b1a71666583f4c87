"""The model of the cost family: the cost volume of patch features and text embeddings, aggregated to logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jaxtyping import Bool, Float
from pydantic import NonNegativeInt, PositiveInt, model_validator
from torch import Tensor

from ahs_seg.backbones.base import Backbone
from ahs_seg.config import ConfigError, Layers, Width
from ahs_seg.methods.base import Method, MethodOptions
from ahs_seg.methods.cost.aggregation import AggregationLayer, CostHead
from ahs_seg.methods.cost.class_attention import AttentionKind, ClassAggregation
from ahs_seg.methods.cost.class_form import ClassForm
from ahs_seg.methods.cost.correlation import most_similar_classes
from ahs_seg.methods.cost.decoder import GuidedDecoder
from ahs_seg.methods.cost.guidance import GuidancePyramid
from ahs_seg.methods.cost.parts.slots import CostParts, PartsConfig
from ahs_seg.methods.cost.window_attention import SpatialAggregation
from ahs_seg.methods.cost.window_form import WindowForm
from ahs_seg.types import ClassText, ImageFeatures, Output, Words


class CostOptions(MethodOptions):
    """Inference options of the cost family: `class_pooling` of the class attention (None: as in training)."""

    class_pooling: PositiveInt | None = None  # type: ignore[assignment]  # any pooling factor, not only 1


class CostSegmenter(Method):
    """Model of the cost family: class logits at four times the resolution of the backbone's patch grid.

    With more than `keep` text rows only the `keep` most similar rows of each image are aggregated (None: all). `levels`
    are the two hidden levels that guide the decoder; `parts.fusion` may need more levels. `fold` is the tuner's
    `merge`, which folds the parameters added by the tuner into the weights of the backbone, in place.
    """

    options = CostOptions
    forms = (WindowForm, ClassForm)
    compiled = (SpatialAggregation, ClassAggregation, GuidedDecoder, GuidancePyramid)

    def __init__(
        self,
        backbone: Backbone,
        pyramid: GuidancePyramid,
        head: CostHead,
        *,
        levels: Sequence[int],
        keep: int | None,
        parts: CostParts | None = None,
        fold: Callable[[Backbone], Backbone] | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.pyramid = pyramid
        self.head = head
        self.parts = parts or CostParts()
        self.levels = tuple(levels)
        self.keep = keep
        self.fold = fold

    def encode(self, images: Float[Tensor, "b 3 H W"]) -> ImageFeatures:
        """Image features: the part of the forward pass that does not depend on the text."""
        return self.backbone.encode_resized(images, levels=(*self.levels, *self.parts.fused_levels))

    def decode(self, features: ImageFeatures, text: Words) -> Output:
        """Logits from image features and text embeddings."""
        words = self.ensure_prepared(text)
        guiding, fused = features.levels[: len(self.levels)], features.levels[len(self.levels) :]
        dense = self.parts.rectified(features)
        aligned = self.parts.aligned(dense)
        compared = self.parts.compared(aligned)
        guidance = self.pyramid(ImageFeatures(self.parts.appearance(dense, fused), guiding))
        change = self.parts.change(aligned, words)
        kept, embeddings, guides = None, words.embeddings[None], words.guidance[None]
        if self.keep is not None and len(words) > self.keep:
            kept = most_similar_classes(compared.detach(), words.embeddings.detach(), self.keep, change)
            embeddings, guides = words.embeddings[kept], words.guidance[kept]
            change = self.parts.change(aligned, words, kept)
        logits = self.head(compared, embeddings, guidance, words=guides, change=change)
        return Output(logits, features, words, compared, kept, aligned=aligned)

    def prepare(self, text: Float[Tensor, "t p d"], seen: Bool[Tensor, " t"] | None = None) -> ClassText:
        """Text embeddings after guidance and projection by the parts; computed once per vocabulary at inference."""
        guided = self.parts.guided(text)
        complexity = self.parts.complexity(guided)
        projected = self.parts.projected(guided, complexity)
        return ClassText(projected, self.parts.guiding(guided, projected), seen, complexity)

    def scores(self, logits: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        """Sigmoid probability of each text row, independent of the others, in [0, 1]."""
        return logits.sigmoid()

    def merge(self) -> None:
        """Fold the parameters added by the tuner into the weights of the backbone, in place."""
        if self.fold is not None:
            self.backbone = self.fold(self.backbone)

    def set_options(self, options: CostOptions) -> None:
        """Set the pooling factor of the class attention, in place."""
        self.head.class_pooling = options.class_pooling or self.head.class_pooling


class CostConfig(PartsConfig):
    """Config of the cost aggregation; the defaults are CAT-Seg's, for ViT-B/16 and ViT-L/14.

    `levels` are the hidden levels that guide the decoder, by default those at one third and two thirds of the depth.
    `class_pooling` is the pooling factor of the class attention; the published evaluation uses 1.
    """

    dim: Width = 128
    layers: Layers = 2
    heads: Width = 4
    window: Width = 12
    prompts: Width = 1
    appearance_dim: Width = 128
    text_guidance_dim: Width = 128
    upsampled_dims: tuple[Width, Width] = (256, 128)
    decoder_dims: tuple[Width, Width] = (64, 32)
    decoder_guidance_dims: tuple[Width, Width] = (32, 16)
    pad_length: NonNegativeInt = 256
    keep: PositiveInt | None = 256
    class_pooling: PositiveInt = 2
    attention: AttentionKind = "linear"
    levels: tuple[int, int] | None = None

    @model_validator(mode="after")
    def _check_heads(self) -> CostConfig:
        if self.dim % self.heads:
            raise ValueError(f"heads is {self.heads}, but must divide dim, which is {self.dim}")
        return self

    def check_grid(self, backbone: Backbone) -> None:
        """Check that the attention windows fit the patch grid of a backbone.

        Raises:
            ConfigError: they do not; the message gives the nearest resolutions that do.
        """
        if backbone.grid % self.window:
            step = self.window * backbone.patch_size
            below = backbone.resolution // step * step
            sides = f"{below} or {below + step}" if below else str(step)
            raise ConfigError(
                f"resolution {backbone.resolution} is a grid of {backbone.grid} patches, which is no multiple of "
                f"window={self.window}; set method.backbone.resolution to {sides}"
            )

    def build(self, backbone: Backbone, *, fold: Callable[[Backbone], Backbone] | None = None) -> CostSegmenter:
        """The method on the given (tuned) backbone; `fold` is the `merge` of its tuner."""
        pyramid = GuidancePyramid(
            backbone.dim,
            backbone.width,
            appearance_dim=self.appearance_dim,
            upsampled_dims=self.upsampled_dims,
            decoder_dims=self.decoder_guidance_dims,
        )
        layers = [
            AggregationLayer(
                SpatialAggregation(self.dim, self.appearance_dim, heads=self.heads, window=self.window),
                ClassAggregation(
                    self.dim,
                    self.text_guidance_dim,
                    heads=self.heads,
                    pad_length=self.pad_length,
                    kind=self.attention,
                ),
            )
            for _ in range(self.layers)
        ]
        head = CostHead(
            backbone.dim,
            prompts=self.prompts,
            dim=self.dim,
            text_guidance_dim=self.text_guidance_dim,
            layers=layers,
            decoder=GuidedDecoder(self.dim, self.decoder_dims, guidance_dims=self.decoder_guidance_dims),
            class_pooling=self.class_pooling,
            similarity=None if self.geodesic is None else self.geodesic.build(),
        )
        levels = self.levels or (backbone.depth // 3 - 1, 2 * backbone.depth // 3 - 1)
        parts = self.build_parts(backbone)
        return CostSegmenter(backbone, pyramid, head, levels=levels, keep=self.keep, parts=parts, fold=fold)

"""The forward of SCAN: proposals that look at CLIP's maps, and a second CLIP that looks at their pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.backbones.image_tower import ImageTower
from ahs_seg.backbones.pixel import PixelBackbone
from ahs_seg.methods.base import Method, MethodOptions
from ahs_seg.methods.mask.pixel_decoder import PixelDecoder
from ahs_seg.methods.mask.proposals import MaskFeatures, answer, frame_of, padded
from ahs_seg.methods.mask.query_decoder import MaskedDecoder
from ahs_seg.methods.mask.scan.context_shift import (
    Choose,
    Context,
    drawing_for,
    embed_regions,
    read_context,
    spread_evenly,
)
from ahs_seg.methods.mask.scan.crops import cut_regions
from ahs_seg.methods.mask.scan.ensemble import EnsembleConfig, combine, picture_probabilities
from ahs_seg.methods.mask.scan.semantic_integration import SemanticIntegration
from ahs_seg.modules.class_pooling import class_embeddings
from ahs_seg.types import ClassText, Output, Words

TEMPERATURE = 100.0
"""Scale of all similarities; CLIP's own is not used."""

ContextView = Literal["padded", "whole"]
"""How CLIP sees the image for its context: padded and to the nearest pixel, as published, or the image antialiased."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanFeatures(MaskFeatures):
    """What of a forward depends on the images alone.

    `embeddings` are those of the proposals, for as many of the last predictions as were asked for, the last one last.
    `pictures` are CLIP's embeddings of the pictures of the last prediction's masks, where `valid`; None while training.
    """

    embeddings: tuple[Float[Tensor, "b q d"], ...]
    pictures: Float[Tensor, "b q d"] | None
    valid: Bool[Tensor, "b q"] | None


class ScanOptions(MethodOptions):
    """`ensemble` replaces the settings of the second stage (None: as the model has it)."""

    ensemble: EnsembleConfig | None = None


class ScanSegmenter(Method):
    """Masks from a pixel backbone, named by embeddings that saw CLIP's maps and by a second CLIP that sees pictures.

    `backbone` is the original CLIP, never trained. `shifted` is the image tower that looks at pictures of masks; after
    the blocks in `shifts` (numbered from 1) it is shown the original CLIP's class token of the whole image. `levels`
    are the blocks whose maps `semantic` reads. While training the second stage rests, as it takes no part in any loss.
    Without `semantic` embeddings stay as the decoder gives them; without `ensemble` there is no second stage.
    """

    options = ScanOptions
    backbone: ClipBackbone

    def __init__(
        self,
        backbone: ClipBackbone,
        shifted: ImageTower,
        pixels: PixelBackbone,
        decoders: tuple[PixelDecoder, MaskedDecoder],
        *,
        semantic: SemanticIntegration | None,
        ensemble: EnsembleConfig | None,
        class_dim: int,
        levels: Sequence[int],
        shifts: Sequence[int],
        context_view: ContextView = "padded",
    ) -> None:
        super().__init__()
        self.backbone = backbone.requires_grad_(requires_grad=False)
        self.shifted = shifted.requires_grad_(requires_grad=False)
        self.pixels = pixels
        self.pixel_decoder, self.decoder = decoders
        self.class_embed = nn.Sequential(
            nn.Linear(self.decoder.dim, class_dim), nn.ReLU(), nn.Linear(class_dim, backbone.dim)
        )
        self.semantic = semantic
        self.void = nn.Parameter(torch.randn(1, backbone.dim) * backbone.text_width**-0.5)
        self.ensemble = ensemble
        self.levels, self.shifts = tuple(levels), tuple(shifts)
        self.context_view = context_view

    def encode(self, images: Float[Tensor, "b 3 H W"]) -> ScanFeatures:
        """All that depends on the images alone: masks, their embeddings, and the embeddings of their pictures."""
        frame = frame_of(images, self.pixels)
        predictions = self.decoder(self.pixel_decoder(self.pixels(padded(self.pixels.normalise(images), frame))))
        wanted = predictions if torch.is_grad_enabled() else predictions[-1:]
        seen = self.backbone.normalise(images)
        context = self.context(seen, frame)
        height, width = images.shape[-2:]
        features = ScanFeatures(
            dense=context.dense,
            levels=context.levels,
            predictions=predictions,
            frame=frame,
            size=(height, width),
            embeddings=self.embed([prediction.states for prediction in wanted], context),
            pictures=None,
            valid=None,
        )
        if self.ensemble is None or self.training:
            return features
        pictures, valid = self.look(seen, features, context, self.ensemble)
        return replace(features, pictures=pictures, valid=valid)

    def decode(self, features: ScanFeatures, text: Words) -> Output:
        """The rest of the forward: scores of every row of the text."""
        words = self.prepared(text)
        inside, void = self.class_logits(features.embeddings[-1], words).softmax(-1).split([len(words), 1], -1)
        scores = inside
        if features.pictures is not None and features.valid is not None and self.ensemble is not None:
            similarity = TEMPERATURE * features.pictures @ class_embeddings(words).T
            outside = picture_probabilities(similarity, features.valid, self.ensemble.unscored)
            settings = self.ensemble
            scores = combine(inside, void[..., 0], outside, weight=settings.weight, combination=settings.combination)
        output = answer(features, scores, words, features.dense)
        assert output.proposals is not None
        return replace(output, proposals=replace(output.proposals, resized="sigmoids"))

    def context(self, seen: Float[Tensor, "b 3 H W"], frame: tuple[int, int]) -> Context:
        """What the original CLIP makes of whole images, given in its units."""
        size = (self.backbone.resolution, self.backbone.resolution)
        if self.context_view == "padded":
            shown = F.interpolate(padded(seen, frame), size=size, mode="nearest")
        else:
            shown = F.interpolate(seen, size=size, mode="bilinear", align_corners=False, antialias=True)
        return read_context(self.backbone.image_tower, shown, levels=self.levels, starts=self.shifts)

    def embed(self, states: Sequence[Float[Tensor, "b q c"]], context: Context) -> tuple[Float[Tensor, "b q d"], ...]:
        """Embeddings of the proposals of some predictions in the joint space; all by the same weights."""
        embeddings = [self.class_embed(state) for state in states]
        if self.semantic is None:
            return tuple(embeddings)
        memory = self.semantic.memory(context.levels)
        return tuple(self.semantic(embedding, memory, context.image) for embedding in embeddings)

    def class_logits(self, embeddings: Float[Tensor, "b q d"], words: ClassText) -> Float[Tensor, "b q r"]:
        """Logits of all rows and, last, of none."""
        rows = torch.cat([class_embeddings(words), F.normalize(self.void.float(), dim=-1)])
        return TEMPERATURE * F.normalize(embeddings.float(), dim=-1) @ rows.T

    @torch.no_grad()
    def look(
        self, seen: Float[Tensor, "b 3 H W"], features: ScanFeatures, context: Context, settings: EnsembleConfig
    ) -> tuple[Float[Tensor, "b q d"], Bool[Tensor, "b q"]]:
        """The shifted CLIP's embeddings of the pictures of all masks, and which masks have a picture."""
        masks = features.predictions[-1].masks
        pictures = masks.new_zeros(*masks.shape[:2], self.backbone.dim)
        valid = torch.zeros(masks.shape[:2], dtype=torch.bool, device=masks.device)
        for index, image in enumerate(seen):
            choose = spread_evenly if settings.choice == "even" else drawing_for(image, settings.seed)
            for some in torch.arange(masks.shape[1], device=masks.device).split(settings.batch):
                framed = F.interpolate(masks[index, some][None], size=features.frame, mode="bilinear")[0]
                cover = framed[:, : image.shape[1], : image.shape[2]].sigmoid() > settings.threshold
                found = some[cover.flatten(1).any(1)]
                valid[index, found] = True
                pictures[index, found] = self.look_at(
                    image, cover[cover.flatten(1).any(1)], context, index, ratio=settings.ratio, choose=choose
                )
        return pictures, valid

    def look_at(
        self,
        image: Float[Tensor, "3 H W"],
        masks: Bool[Tensor, "n H W"],
        context: Context,
        index: int,
        *,
        ratio: float,
        choose: Choose,
    ) -> Float[Tensor, "n d"]:
        """Embeddings of the pictures of some masks of image `index`, none of them empty."""
        if not len(masks):
            return image.new_zeros(0, self.backbone.dim)
        regions = cut_regions(image, masks, self.backbone.resolution)
        foreground = regions.foreground(self.backbone.patch_size)
        starts = context.of(index, len(masks))
        return embed_regions(self.shifted, regions.pixels, foreground, starts, ratio=ratio, choose=choose).float()

    def scores(self, logits: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        """Scores from their logarithms."""
        return logits.exp()

    def choose(self, options: ScanOptions) -> None:
        """Set the second stage."""
        self.ensemble = options.ensemble or self.ensemble

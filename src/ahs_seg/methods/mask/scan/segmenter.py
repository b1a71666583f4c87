"""The model of SCAN: proposals with semantic integration of CLIP's maps, and CLIP on their masked crops."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ahs_seg.backbones.base import DenseForm
from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.backbones.image_tower import ImageTower
from ahs_seg.backbones.pixel import PixelBackbone
from ahs_seg.methods.base import Method, MethodOptions
from ahs_seg.methods.mask.predictions import Decoders, ImageArea
from ahs_seg.methods.mask.proposals import MaskFeatures, padded, padded_size_of, proposal_output
from ahs_seg.methods.mask.scan.context_shift import (
    Context,
    RandomPatches,
    SelectPatches,
    embed_regions,
    query_generators,
    read_context,
    spread_evenly,
)
from ahs_seg.methods.mask.scan.crops import cut_regions
from ahs_seg.methods.mask.scan.ensemble import EnsembleConfig, combine, crop_probabilities
from ahs_seg.methods.mask.scan.semantic_integration import SemanticIntegration
from ahs_seg.modules.class_pooling import class_embeddings
from ahs_seg.modules.constants import indices_on
from ahs_seg.modules.full_precision import full_precision
from ahs_seg.types import ClassText, Output, Words

TEMPERATURE = 100.0
"""Scale of all cosine similarities; CLIP's learned logit scale is not used."""

ContextView = Literal["padded", "whole"]
"""CLIP's input for the context: "padded" (padded image, nearest-neighbour resize, as published) or "whole"
(image without padding, antialiased bilinear resize)."""

EncodeCrops = Callable[[Tensor, Tensor, Mapping[int, Tensor], float, SelectPatches], Tensor]
"""Computes the embeddings of crops [n d] from the arguments of `embed_regions` without its tower."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanFeatures(MaskFeatures):
    """Result of the part of the forward pass that does not depend on the text.

    `embeddings` are the embeddings of the proposals for all predictions (with gradients) or only for the last one, in
    order. `crop_embeddings` are CLIP's embeddings of the masked crops of the last prediction, defined where `valid` is
    True; None in training and without a second stage.
    """

    embeddings: tuple[Float[Tensor, "b q d"], ...]
    crop_embeddings: Float[Tensor, "b q d"] | None
    valid: Bool[Tensor, "b q"] | None


class ScanOptions(MethodOptions):
    """Inference options of SCAN: `ensemble` replaces the settings of the second stage (None: those of the model)."""

    ensemble: EnsembleConfig | None = None


class ScanSegmenter(Method):
    """Model of SCAN: mask proposals, classified by calibrated embeddings and by CLIP embeddings of masked crops.

    `backbone` is the original CLIP, always frozen. `shifted` is the image tower that encodes masked crops; after the
    blocks in `shifts` (numbered from 1) it receives the original CLIP's class token of the whole image. `levels` are
    the blocks whose maps are inputs of `semantic`. The second stage is skipped in training, because it has no loss.
    Without `semantic` the embeddings of the decoder are not calibrated; without `ensemble` there is no second stage.
    `dense` is the form in which the patches of the last block are read (None: its output). `mask_padding`: see
    `MaskMethodConfig`.
    """

    options = ScanOptions
    backbone: ClipBackbone

    def __init__(
        self,
        backbone: ClipBackbone,
        shifted: ImageTower,
        pixels: PixelBackbone,
        decoders: Decoders,
        *,
        semantic: SemanticIntegration | None,
        ensemble: EnsembleConfig | None,
        class_dim: int,
        levels: Sequence[int],
        shifts: Sequence[int],
        context_view: ContextView = "padded",
        mask_padding: bool = False,
        dense: DenseForm | None = None,
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
        self.mask_padding, self.dense = mask_padding, dense

    def encode(self, images: Float[Tensor, "b 3 H W"]) -> ScanFeatures:
        """Masks, their embeddings and those of their crops; they do not depend on the text."""
        padded_size = padded_size_of(images, self.pixels)
        height, width = images.shape[-2:]
        area = ImageArea((height, width), padded_size) if self.mask_padding else None
        maps = self.pixels(padded(self.pixels.normalise(images), padded_size))
        predictions = self.decoder(self.pixel_decoder(maps, area), area)
        wanted = predictions if torch.is_grad_enabled() else predictions[-1:]
        context = self.context(self.backbone.normalise(images), padded_size)
        features = ScanFeatures(
            dense=context.dense,
            levels=context.levels,
            predictions=predictions,
            padded_size=padded_size,
            size=(height, width),
            embeddings=self.embed([prediction.states for prediction in wanted], context),
            crop_embeddings=None,
            valid=None,
        )
        if self.ensemble is None or self.training:
            return features
        crop_embeddings, valid = self.embed_crops(images, features, context, self.ensemble)
        return replace(features, crop_embeddings=crop_embeddings, valid=valid)

    def decode(self, features: ScanFeatures, text: Words) -> Output:
        """Scores of every text row from image features and text embeddings."""
        words = self.ensure_prepared(text)
        inside, no_object = self.class_logits(features.embeddings[-1], words).softmax(-1).split([len(words), 1], -1)
        scores = inside
        if features.crop_embeddings is not None and features.valid is not None and self.ensemble is not None:
            with full_precision(features.dense.device):
                similarity = TEMPERATURE * features.crop_embeddings @ class_embeddings(words).T
            outside = crop_probabilities(similarity, features.valid, self.ensemble.unscored)
            settings = self.ensemble
            scores = combine(
                inside, no_object[..., 0], outside, weight=settings.weight, combination=settings.combination
            )
        output = proposal_output(features, scores, words, features.dense)
        assert output.proposals is not None
        return replace(output, proposals=replace(output.proposals, resized="sigmoids"))

    def context(self, seen: Float[Tensor, "b 3 H W"], padded_size: tuple[int, int]) -> Context:
        """The context of whole images from the original CLIP; `seen` are images normalised for CLIP."""
        size = (self.backbone.resolution, self.backbone.resolution)
        if self.context_view == "padded":
            shown = F.interpolate(padded(seen, padded_size), size=size, mode="nearest")
        else:
            shown = F.interpolate(seen, size=size, mode="bilinear", align_corners=False, antialias=True)
        clip, form = self.backbone, self.dense
        last = None if form is None else lambda tokens, grid: clip.read_last(tokens, grid, form)
        return read_context(clip.image_tower, shown, levels=self.levels, starts=self.shifts, last=last)

    def embed(self, states: Sequence[Float[Tensor, "b q c"]], context: Context) -> tuple[Float[Tensor, "b q d"], ...]:
        """Embeddings of the proposals in the joint space, one tensor per prediction; the weights are shared."""
        embeddings = [self.class_embed(state) for state in states]
        if self.semantic is None:
            return tuple(embeddings)
        memory = self.semantic.memory(context.levels)
        return tuple(self.semantic(embedding, memory, context.image) for embedding in embeddings)

    def class_logits(self, embeddings: Float[Tensor, "b q d"], words: ClassText) -> Float[Tensor, "b q r"]:
        """Logits of all text rows and, in the last column, of the no-object class."""
        with full_precision(embeddings.device):
            rows = torch.cat([class_embeddings(words), F.normalize(self.void.float(), dim=-1)])
            return TEMPERATURE * F.normalize(embeddings.float(), dim=-1) @ rows.T

    @torch.no_grad()
    def embed_crops(
        self,
        images: Float[Tensor, "b 3 H W"],
        features: ScanFeatures,
        context: Context,
        settings: EnsembleConfig,
        *,
        encode: EncodeCrops | None = None,
    ) -> tuple[Float[Tensor, "b q d"], Bool[Tensor, "b q"]]:
        """CLIP embeddings of the masked crops of all proposals, and True for proposals whose mask is not empty.

        `encode` computes the embeddings in place of `shifted`, if another runtime does.
        """
        masks = features.predictions[-1].masks
        crop_embeddings = masks.new_zeros(*masks.shape[:2], self.backbone.dim, dtype=torch.float32)
        valid = torch.zeros(masks.shape[:2], dtype=torch.bool, device=masks.device)
        drawn = settings.choice == "random"
        for index, image in enumerate(self.backbone.normalise(images)):
            generators = query_generators(images[index], settings.seed, masks.shape[1]) if drawn else []
            for first in range(0, masks.shape[1], settings.batch):
                some = masks[index, first : first + settings.batch]
                framed = F.interpolate(some[None], size=features.padded_size, mode="bilinear")[0]
                cover = framed[:, : image.shape[1], : image.shape[2]].sigmoid() > settings.threshold
                shown = [place for place, any_of in enumerate(cover.flatten(1).any(1).tolist()) if any_of]
                found = indices_on(masks.device, shown)
                valid[index].index_fill_(0, first + found, 1)
                choose = RandomPatches([generators[first + place] for place in shown]) if drawn else spread_evenly
                embedded = self.embed_image_crops(
                    image, cover[found], context, index, ratio=settings.ratio, choose=choose, encode=encode
                )
                crop_embeddings[index].index_copy_(0, first + found, embedded)
        return crop_embeddings, valid

    def embed_image_crops(
        self,
        image: Float[Tensor, "3 H W"],
        masks: Bool[Tensor, "n H W"],
        context: Context,
        index: int,
        *,
        ratio: float,
        choose: SelectPatches,
        encode: EncodeCrops | None = None,
    ) -> Float[Tensor, "n d"]:
        """CLIP embeddings of the masked crops of some non-empty masks of image `index`."""
        if not len(masks):
            return image.new_zeros(0, self.backbone.dim)
        regions = cut_regions(image, masks, self.backbone.resolution)
        foreground = regions.foreground(self.backbone.patch_size)
        starts = context.of(index, len(masks))
        if encode is not None:
            return encode(regions.pixels, foreground, starts, ratio, choose)
        return embed_regions(self.shifted, regions.pixels, foreground, starts, ratio=ratio, choose=choose).float()

    def scores(self, logits: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        """Scores from log-scores (the logits of this method)."""
        return logits.exp()

    def set_options(self, options: ScanOptions) -> None:
        """Set the options of the second stage, in place."""
        self.ensemble = options.ensemble or self.ensemble

"""The model of EBSeg: mask proposals from a pixel backbone and CLIP, classified by three balanced embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.backbones.pixel import PixelBackbone
from ahs_seg.methods.base import Method, MethodOptions
from ahs_seg.methods.mask.ebseg.embeddings import AttentionBias, SupervisedEmbedding, balanced_scores, mean_inside
from ahs_seg.methods.mask.ebseg.region_recognition import FrontFeatures, RegionRecognition
from ahs_seg.methods.mask.predictions import Decoders, ImageArea, PixelFeatures
from ahs_seg.methods.mask.proposals import MaskFeatures, padded, padded_size_of, proposal_output
from ahs_seg.modules.class_pooling import class_embeddings
from ahs_seg.modules.full_precision import full_precision
from ahs_seg.types import ClassText, Output, Words
from ahs_seg.vocabulary.seen_classes import SoftOverlap


@dataclass(frozen=True, slots=True, kw_only=True)
class EBSegFeatures(MaskFeatures):
    """Image features with three embeddings of every mask in the joint space.

    `supervised` and `recognised` have one entry for each prediction (with gradients) or only for the last one, in
    order; `averaged` belongs to the last prediction.
    """

    supervised: tuple[Float[Tensor, "b q d"], ...]
    recognised: tuple[Float[Tensor, "b q d"], ...]
    averaged: Float[Tensor, "b q d"]


class FusionNorm(nn.LayerNorm):
    """Layer norm of a CLIP map before its fusion; the original has a class of its own, which its optimizer decays."""

    PUBLISHED_DECAY: ClassVar[frozenset[str]] = frozenset({"weight", "bias"})


class Fusion(nn.Sequential):
    """Projection of a CLIP map to the number of channels of the pixel backbone."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__(FusionNorm(width, eps=1e-6), nn.Conv2d(width, channels, 1))

    def forward(self, maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h w"]:
        """The projected map; the layer norm is over channels."""
        normed = self[0](maps.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        fused: Tensor = self[1](normed)
        return fused


class EBSegOptions(MethodOptions):
    """Inference options of EBSeg: `soft_overlap` as in the config; false for none (None: that of the model)."""

    soft_overlap: SoftOverlap | Literal[False] | None = None


class EBSegSegmenter(Method):
    """Model of EBSeg: mask proposals from a pixel backbone and a frozen CLIP, classified by balanced embeddings.

    The input of CLIP has `clip_scale` times the size of the images, that of the pixel backbone their full size.
    `balance` holds `alpha`, `beta` and `gamma` of `balanced_scores`. With gradients, embeddings are computed for all
    predictions (deep supervision), otherwise only for the last one. `mask_padding`: see `MaskMethodConfig`.
    """

    options: ClassVar[type[MethodOptions]] = EBSegOptions
    uses_seen = True
    backbone: ClipBackbone

    def __init__(
        self,
        backbone: ClipBackbone,
        pixels: PixelBackbone,
        decoders: Decoders,
        recognition: RegionRecognition,
        *,
        clip_scale: float,
        balance: tuple[float, float, float],
        soft_overlap: SoftOverlap | None = None,
        mask_padding: bool = False,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.pixels = pixels
        self.pixel_decoder, self.decoder = decoders
        self.recognition = recognition
        self.clip_scale = clip_scale
        self.mask_padding = mask_padding
        self.alpha, self.beta, self.gamma = balance
        self.soft_overlap = soft_overlap
        self.fusion = nn.ModuleList(Fusion(backbone.width, channels) for channels in pixels.channels[1:])
        self.supervised = SupervisedEmbedding(self.decoder.dim, backbone.dim)
        self.bias = AttentionBias(self.pixel_decoder.mask_dim, recognition.heads)
        self.void = nn.Parameter(torch.randn(1, backbone.dim) * backbone.dim**-0.5)
        backbone.requires_grad_(requires_grad=False)
        backbone.position_table.requires_grad = True

    def encode(self, images: Float[Tensor, "b 3 H W"]) -> EBSegFeatures:
        """Masks and their three embeddings; they do not depend on the text."""
        padded_size = padded_size_of(images, self.pixels)
        height, width = images.shape[-2:]
        area = ImageArea((height, width), padded_size) if self.mask_padding else None
        front = self.recognition(self._for_clip(images, padded_size))
        features = self.pixel_decoder(
            self.fused(self.pixels(padded(self.pixels.normalise(images), padded_size)), front.taps), area
        )
        predictions = self.decoder(features, area)
        wanted = predictions if torch.is_grad_enabled() else predictions[-1:]
        dense = self.recognition.dense(front)
        return EBSegFeatures(
            dense=dense,
            levels=front.taps,
            predictions=predictions,
            padded_size=padded_size,
            size=(height, width),
            supervised=tuple(self.supervised(prediction, features.masks) for prediction in wanted),
            recognised=self._recognised(front, features, [prediction.states for prediction in wanted]),
            averaged=mean_inside(dense.float(), predictions[-1].masks.detach()),
        )

    def decode(self, features: EBSegFeatures, text: Words) -> Output:
        """Scores of every text row from image features and text embeddings."""
        words = self.ensure_prepared(text)
        classes = self.class_scores((features.supervised[-1], features.recognised[-1], features.averaged), words)
        return proposal_output(features, classes, words, features.dense)

    def class_scores(self, embeddings: Sequence[Float[Tensor, "b q d"]], words: ClassText) -> Float[Tensor, "b q t"]:
        """Scores of every text row from the supervised, recognised and averaged embeddings of the masks."""
        with full_precision(embeddings[0].device):
            classifier = self.classifier(words)
            supervised, recognised, averaged = (one.float() @ classifier.T for one in embeddings)
        seen = words.seen if words.seen_share is None else words.seen_share
        return balanced_scores(
            supervised, recognised, averaged, seen, alpha=self.alpha, beta=self.beta, gamma=self.gamma
        )

    def classifier(self, words: ClassText) -> Float[Tensor, "r d"]:
        """Classifier weights: embeddings of all text rows and, last, of the no-object class, times CLIP's scale."""
        rows = torch.cat([class_embeddings(words), self.void.float()])
        return self.backbone.logit_scale.float() * F.normalize(rows, dim=-1)

    def scores(self, logits: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        """Scores from log-scores (the logits of this method)."""
        return logits.exp()

    def set_options(self, options: EBSegOptions) -> None:
        """Set how far classes count as seen, in place."""
        if options.soft_overlap is not None:
            self.soft_overlap = options.soft_overlap or None

    def fused(self, maps: Sequence[Tensor], taps: Sequence[Tensor]) -> list[Tensor]:
        """Maps of the pixel backbone, with projected CLIP maps added to all but the finest one."""
        changed = [
            level + F.interpolate(fusion(tap), size=level.shape[-2:], mode="bilinear", align_corners=False)
            for level, tap, fusion in zip(maps[1:], taps, self.fusion, strict=True)
        ]
        return [maps[0], *changed]

    def _for_clip(self, images: Tensor, padded_size: tuple[int, int]) -> Tensor:
        pixels = padded(self.backbone.normalise(images), padded_size)
        if self.clip_scale == 1:
            return pixels
        return F.interpolate(pixels, scale_factor=self.clip_scale, mode="bilinear", align_corners=False)

    def _recognised(
        self, front: FrontFeatures, features: PixelFeatures, states: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        """Recognised embeddings of all predictions, in one pass: queries do not attend to each other."""
        keys = self.bias.keys(features.masks)
        masks = torch.cat([self.decoder.embed_masks(state) for state in states], 1)
        embedded = self.recognition.recognise(front, self.bias(masks, keys, front.grid))
        return embedded.split(self.decoder.queries, 1)

"""Config of SCAN (Liu et al., CVPR 2024)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt
from torch import nn

from ahs_seg.backbones.base import Backbone
from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.backbones.clip_config import ClipConfig
from ahs_seg.backbones.image_tower import ImageTower
from ahs_seg.backbones.pixel import PixelBackbone, PixelConfig
from ahs_seg.backbones.swin import SwinConfig
from ahs_seg.config import Config, ConfigError, Layers, Width
from ahs_seg.methods.mask.config import MaskMethodConfig
from ahs_seg.methods.mask.scan.ensemble import EnsembleConfig
from ahs_seg.methods.mask.scan.objective import ScanLossConfig, ScanObjective
from ahs_seg.methods.mask.scan.segmenter import ContextView, ScanSegmenter
from ahs_seg.methods.mask.scan.semantic_integration import Refinement, SemanticIntegration


class SemanticConfig(Config):
    """Config of the semantic integration module of SCAN.

    `sigmas` are the widths of the frequency filters, one per CLIP level. `looks` is the number of cross-attention
    layers to CLIP's maps, `layers` the number of refinement layers after them. `refinement` is "each_query" (each query
    separately, as published) or "all_queries" (with self-attention between queries). `prior` is the initial weight of
    the image embedding.
    """

    sigmas: tuple[float, ...] = (9.0, 7.0, 3.0)
    looks: Layers = 5
    layers: Layers = 5
    heads: Width = 8
    feedforward: Width = 2048
    dropout: float = Field(default=0.1, ge=0, lt=1)
    prior: float = 0.1
    refinement: Refinement = "each_query"

    def build(self, width: int, dim: int) -> SemanticIntegration:
        """The module for a CLIP with this width of the image tower and this dimension of the joint space."""
        return SemanticIntegration(
            width,
            dim,
            sigmas=self.sigmas,
            looks=self.looks,
            layers=self.layers,
            heads=self.heads,
            feedforward=self.feedforward,
            dropout=self.dropout,
            prior=self.prior,
            refinement=self.refinement,
        )


class ScanConfig(MaskMethodConfig):
    """SCAN (Liu et al., CVPR 2024): mask proposals with semantic integration and a second stage on masked crops.

    The defaults are SCAN-B's. `shifted` is the CLIP whose image tower encodes the crops, for example one fine-tuned by
    `ahs-seg finetune-crop-clip` (None: the original CLIP). `levels` are the blocks of CLIP (counted from 1) whose maps
    are integrated, by default those at one half, three quarters and the full depth; with `backbone.dense` the map of
    the last block is read in that dense form. The contextual shift acts after the blocks in `shifts`.
    `semantic: null` and `ensemble: null` switch semantic integration and second stage off;
    `ensemble.ratio=0` keeps the second stage but without the contextual shift.
    """

    name: Literal["scan"] = "scan"
    backbone: ClipConfig = ClipConfig(source="laion/CLIP-ViT-B-16-DataComp.XL-s13B-b90K", resolution=224)
    shifted: ClipConfig | None = None
    pixels: PixelConfig = SwinConfig()
    semantic: SemanticConfig | None = SemanticConfig()
    ensemble: EnsembleConfig | None = EnsembleConfig()
    levels: tuple[PositiveInt, ...] | None = None
    shifts: tuple[PositiveInt, ...] = (1, 3, 5)
    context_view: ContextView = "padded"
    decoder_layers: Layers = 10
    class_dim: Width = 1024
    loss: ScanLossConfig = ScanLossConfig()

    def build(self) -> ScanSegmenter:
        """The method with the pre-trained weights of both CLIPs and of the pixel backbone.

        Raises:
            ConfigError: `shifted` has other sizes than the original CLIP.
        """
        backbone = self.clip(self.backbone.build())
        return self.assemble(backbone, self.pixels.build(), self._shifted(backbone))

    def compose(self, backbone: Backbone) -> ScanSegmenter:
        """The method on the given CLIP, which also encodes the crops; the pixel backbone has random weights."""
        clip = self.clip(backbone)
        return self.assemble(clip, self.pixels.build_empty(), ImageTower.copied(clip.image_tower))

    def assemble(self, backbone: ClipBackbone, pixels: PixelBackbone, shifted: ImageTower) -> ScanSegmenter:
        """The method on the given networks.

        Raises:
            ConfigError: this CLIP does not have a block in `levels` or `shifts`.
        """
        levels = self.levels or (backbone.depth // 2, 3 * backbone.depth // 4, backbone.depth)
        self._check(levels, backbone.depth)
        return ScanSegmenter(
            backbone,
            shifted,
            pixels,
            self.decoders(pixels.channels),
            semantic=None if self.semantic is None else self.semantic.build(backbone.width, backbone.dim),
            ensemble=self.ensemble,
            class_dim=self.class_dim,
            levels=levels,
            shifts=self.shifts,
            context_view=self.context_view,
            mask_padding=self.mask_padding,
            dense=self.backbone.dense,
        )

    def term(self) -> nn.Module:
        """The loss term of the method."""
        return ScanObjective(self.loss)

    def _shifted(self, backbone: ClipBackbone) -> ImageTower:
        if self.shifted is None:
            return ImageTower.copied(backbone.image_tower)
        if self.shifted.dense is not None:
            raise ConfigError(
                f"method.shifted.dense is {self.shifted.dense}, but crops are encoded by their class token, which has "
                "no dense form. Leave method.shifted.dense out; method.backbone.dense is that of the original CLIP."
            )
        other = self.clip(self.shifted.build(), "method.shifted")
        sizes = [(one.width, one.dim, one.depth, one.patch_size) for one in (backbone, other)]
        if sizes[0] != sizes[1]:
            raise ConfigError(
                f"method.shifted: {self.shifted.source!r} has width, embedding, blocks and patch size {sizes[1]}; "
                f"those of the original CLIP are {sizes[0]}. Give a CLIP fine-tuned from {self.backbone.source!r}."
            )
        return ImageTower.copied(other.image_tower)

    def _check(self, levels: tuple[int, ...], depth: int) -> None:
        if self.semantic is not None and len(levels) != len(self.semantic.sigmas):
            raise ConfigError(
                f"method.semantic.sigmas has {len(self.semantic.sigmas)} widths for {len(levels)} levels; give as many"
            )
        if wrong := [block for block in (*levels, *self.shifts) if block > depth]:
            raise ConfigError(
                f"method.levels, method.shifts: block {wrong[0]} does not exist; this CLIP has 1 to {depth}"
            )
